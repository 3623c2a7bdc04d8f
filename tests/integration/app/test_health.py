"""What people are told when the database or Redis stops, hangs, and comes back."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import psutil
import pytest
from sqlalchemy import Engine, text
from starlette.testclient import TestClient

from rankscope.app.server.health import ANSWER_S, PERIOD_S, Pulse
from rankscope.app.web import create_app
from rankscope.storage.database import migrate, open_database
from rankscope.storage.settings import Settings
from rankscope.storage.workers import WorkerBeat, beat
from tests.helpers.postgres import PostgresServer
from tests.helpers.valkey import ValkeyServer


class Site(NamedTuple):
    """A running application on real servers."""

    browser: TestClient
    engine: Engine
    postgres: PostgresServer
    redis: ValkeyServer

    def status(self) -> dict[str, Any]:
        answer: dict[str, Any] = self.browser.get("/api/status").json()
        return answer


@pytest.fixture(scope="module")
def site(
    postgres: PostgresServer, valkey: ValkeyServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    settings = Settings(
        rankscope_home=tmp_path_factory.mktemp("home"),
        database_url=postgres.new_database(),
        redis_url=valkey.url,
    )
    engine = open_database(settings.database_url)
    migrate(engine)
    app = create_app(engine, settings)
    with TestClient(app, base_url="http://localhost") as browser:
        yield Site(browser, engine, postgres, valkey)
    engine.dispose()


def eventually(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_what_hangs_or_fails_is_noticed_within_five_seconds_by_design() -> None:
    assert PERIOD_S + ANSWER_S < 5


def test_all_is_well_and_workers_are_counted(site: Site) -> None:
    eventually(lambda: site.browser.get("/readyz").status_code == 200)
    status = site.status()
    assert status["database"] == {"ok": True, "message": ""}
    assert status["redis"] == {"ok": True, "message": ""}
    assert status["workers"]["alive"] == 0
    assert status["workers"]["youngest_seen_s"] is None
    beat(site.engine, WorkerBeat("w", "host", 1, ("default",), 2, "cpu", None, None, "0.1.0"))
    eventually(lambda: site.status()["workers"]["alive"] == 1)
    assert site.status()["workers"]["num_slots"] == 2


def test_a_stopped_redis_is_told_and_heals(site: Site) -> None:
    site.redis.stop()
    eventually(lambda: not site.status()["redis"]["ok"])
    status = site.status()
    assert "Redis does not answer, for" in status["redis"]["message"]
    assert status["database"]["ok"]
    assert site.browser.get("/readyz").status_code == 503
    assert site.browser.get("/healthz").status_code == 200
    site.redis.start()
    eventually(lambda: site.browser.get("/readyz").status_code == 200)


def test_a_stopped_database_is_told_and_heals(site: Site) -> None:
    eventually(lambda: site.status()["database"]["ok"])
    site.postgres.stop()
    eventually(lambda: not site.status()["database"]["ok"])
    assert "The database does not answer, for" in site.status()["database"]["message"]
    assert site.browser.get("/").status_code == 200
    site.postgres.start()
    eventually(lambda: site.browser.get("/readyz").status_code == 200)


def test_a_database_that_hangs_is_told_while_everything_else_answers(site: Site) -> None:
    eventually(lambda: site.status()["database"]["ok"])
    with site.engine.connect() as connection:
        folder = connection.execute(text("SHOW data_directory")).scalar_one()
    server = psutil.Process(int(Path(folder, "postmaster.pid").read_text().split()[0]))
    processes = [server, *server.children(recursive=True)]
    for process in processes:
        os.kill(process.pid, signal.SIGSTOP)
    try:
        eventually(lambda: not site.status()["database"]["ok"])
        assert site.status()["redis"]["ok"]
        assert site.browser.get("/readyz").status_code == 503
    finally:
        for process in processes:
            os.kill(process.pid, signal.SIGCONT)
    eventually(lambda: site.browser.get("/readyz").status_code == 200)


def test_before_the_first_answer_nothing_is_said_to_be_well() -> None:
    pulse = Pulse("The database", lambda: None, "wait")
    assert pulse.answers() == {"ok": False, "message": "The database has not been asked yet"}
