"""The same on PostgreSQL, which may go away."""

import time
from pathlib import Path

from tests.helpers.farm import Farm
from tests.helpers.postgres import PostgresServer
from tests.helpers.valkey import ValkeyServer

AWAY_S = 12.0
"""Longer than a lease of the farm."""


def test_a_database_away_for_longer_than_a_lease_costs_no_run_its_attempt(
    tmp_path: Path, valkey: ValkeyServer, postgres: PostgresServer
) -> None:
    with Farm(tmp_path, valkey.url, postgres.new_database()) as farm:
        farm.start_worker()
        run_id = farm.submit(steps=60)
        farm.wait_for(run_id, "running", step=5)
        farm.engine.dispose()
        postgres.stop()
        time.sleep(AWAY_S)
        postgres.start()
        run = farm.wait_for(run_id, "done")
        assert run.attempt == 1
        farm.assert_complete(run_id)
        second = farm.submit()
        farm.wait_for(second, "starting", "running")
