"""What submitting, resuming and stopping tell a real Redis, and that they do without one."""

import json
from base64 import b64decode
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from sqlalchemy import Engine, update

from rankscope.models.config import RunConfig
from rankscope.models.reading import ConfigError, parse_config
from rankscope.storage.database import migrate, open_database, writing
from rankscope.storage.queue import claim_next
from rankscope.storage.runs import get_run
from rankscope.storage.settings import Settings
from rankscope.storage.tables import Run
from rankscope.tasks.client import QueueAway, request_export, resume, stop, submit, wake
from tests.helpers.valkey import ValkeyServer

NOBODY = "redis://127.0.0.1:9/0"


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    opened = open_database(f"sqlite:///{tmp_path}/rankscope.db")
    migrate(opened)
    yield opened
    opened.dispose()


@pytest.fixture
def settings(tmp_path: Path, valkey: ValkeyServer) -> Settings:
    valkey.flush()
    return Settings(rankscope_home=tmp_path, redis_url=valkey.url)


def config() -> RunConfig:
    return parse_config({"data": {"kind": "scenes"}})


def messages(settings: Settings, queue: str = "default") -> list[tuple[str, list[str]]]:
    """Name and arguments of the waiting messages, the oldest first."""
    with redis.from_url(settings.live_url) as client:
        packed = client.lrange(f"rankscope:celery:{queue}", 0, -1)
    assert isinstance(packed, list)
    waiting = [json.loads(message) for message in reversed(packed)]
    return [(one["headers"]["task"], json.loads(b64decode(one["body"]))[0]) for one in waiting]


def test_submitted_runs_wait_and_their_workers_are_told_once(
    engine: Engine, settings: Settings
) -> None:
    runs = submit(engine, settings, config(), owner="ada", seeds=[4, 2], queue="gpu", priority=1)
    assert [get_run(engine, run).config.seed for run in runs] == [4, 2]
    run = get_run(engine, runs[0])
    assert (run.status, run.origin, run.queue, run.owner) == ("queued", "queue", "gpu", "ada")
    assert run.inventory is not None
    assert run.budget_params == config().budget.params(run.inventory)
    assert messages(settings, "gpu") == [("rankscope.work", ["gpu"])]


def test_a_resumed_run_is_told_and_a_live_one_is_poked_to_stop(
    engine: Engine, settings: Settings
) -> None:
    (run_id,) = submit(engine, settings, config(), owner="ada")
    assert stop(engine, settings, run_id) == "stopped"
    assert resume(engine, settings, run_id) == "queued"
    assert messages(settings) == [("rankscope.work", ["default"])] * 2
    claim_next(engine, ["default"], worker_id="w", lease_s=30)
    assert stop(engine, settings, run_id) == "starting"
    with redis.from_url(settings.live_url) as client:
        assert client.get(f"rankscope:run:{run_id}:ctl") == b"1"


def test_an_export_is_asked_of_the_workers_of_the_runs_queue(
    engine: Engine, settings: Settings
) -> None:
    (run_id,) = submit(engine, settings, config(), owner="ada", queue="gpu")
    with writing(engine) as connection:
        connection.execute(update(Run).values(step=3))
    request_export(engine, settings, run_id)
    assert messages(settings, "gpu")[-1] == ("rankscope.export", [run_id])


def test_askers_leave_no_connection_behind(settings: Settings) -> None:
    for _ in range(5):
        assert wake(settings, "default")
    with redis.from_url(settings.live_url) as client:
        assert len(client.client_list()) == 1


def test_without_redis_all_but_an_export_is_done(engine: Engine, tmp_path: Path) -> None:
    settings = Settings(rankscope_home=tmp_path, redis_url=NOBODY)
    assert not wake(settings, "default")
    (run_id,) = submit(engine, settings, config(), owner="ada")
    claim_next(engine, ["default"], worker_id="w", lease_s=30)
    assert stop(engine, settings, run_id) == "starting"
    with writing(engine) as connection:
        connection.execute(update(Run).values(step=3))
    with pytest.raises(QueueAway, match=r"127\.0\.0\.1:9/0"):
        request_export(engine, settings, run_id)


def test_seeds_that_make_no_sense_make_no_run(engine: Engine, settings: Settings) -> None:
    for seeds in ([], [1, 1], [-1], list(range(101))):
        with pytest.raises(ConfigError, match="seed"):
            submit(engine, settings, config(), owner="ada", seeds=seeds)
    assert messages(settings) == []
