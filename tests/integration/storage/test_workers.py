from dataclasses import replace
from datetime import UTC, datetime, timedelta

from sqlalchemy import Engine

from rankscope.storage.workers import WorkerBeat, beat, forget_dead, list_workers, remove
from tests.integration.storage.test_queue import claim, queued

BEAT = WorkerBeat(
    id="w",
    host="here",
    pid=42,
    queues=["default", "gpu"],
    num_slots=2,
    device="cpu",
    memory_bytes=8_000_000_000,
    memory_used_bytes=None,
    version="0.1.0",
)


def test_a_worker_is_seen_as_it_last_said(engine: Engine) -> None:
    beat(engine, BEAT)
    started_at = list_workers(engine, datetime.now(UTC))[0].started_at
    beat(engine, replace(BEAT, memory_used_bytes=5))
    (worker,) = list_workers(engine, datetime.now(UTC))
    assert worker.started_at == started_at
    assert (worker.queues, worker.memory_used_bytes) == (("default", "gpu"), 5)
    assert worker.is_alive


def test_a_worker_is_as_busy_as_it_has_live_runs(engine: Engine) -> None:
    beat(engine, BEAT)
    for seed in range(3):
        queued(engine, seed)
    claim(engine)
    claim(engine)
    assert [worker.num_busy for worker in list_workers(engine, datetime.now(UTC))] == [2]


def test_a_silent_worker_is_shown_as_gone_then_forgotten(engine: Engine) -> None:
    beat(engine, BEAT)
    later = datetime.now(UTC) + timedelta(seconds=11)
    (worker,) = list_workers(engine, later)
    assert not worker.is_alive
    assert 11 <= worker.seen_s < 60
    forget_dead(engine, older_than_s=3600)
    assert list_workers(engine, later)
    forget_dead(engine, older_than_s=-1)
    assert list_workers(engine, later) == []


def test_a_worker_that_ends_takes_its_row_along(engine: Engine) -> None:
    beat(engine, BEAT)
    beat(engine, replace(BEAT, id="other"))
    remove(engine, "w")
    assert [worker.id for worker in list_workers(engine, datetime.now(UTC))] == ["other"]


def test_a_clock_ahead_of_ours_makes_nobody_younger_than_now(engine: Engine) -> None:
    beat(engine, BEAT)
    (worker,) = list_workers(engine, datetime.now(UTC) - timedelta(seconds=30))
    assert worker.seen_s == 0
