"""Runs of the queue end as they should, whatever happens to the processes around them."""

import contextlib
import signal
from datetime import UTC, datetime

import psutil
import pytest

from rankscope.storage import history
from rankscope.storage.artifacts import StoredArtifact, list_artifacts
from rankscope.storage.queue_order import hold, move_first, release
from rankscope.storage.workers import list_workers
from rankscope.tasks import client
from tests.helpers.farm import Farm
from tests.helpers.valkey import ValkeyServer


def losses(farm: Farm, run_id: str) -> list[float]:
    return list(history.metrics(farm.engine, run_id)["loss"])


def test_two_runs_train_at_once_and_a_killed_trainer_goes_on_as_if_nothing_had_happened(
    farm: Farm,
) -> None:
    farm.start_worker()
    killed, spared = farm.submit(steps=40), farm.submit(steps=40)
    farm.wait_for(spared, "running")
    farm.wait_for(killed, "running", step=10)
    farm.wait_for_checkpoint(killed)
    farm.trainer(killed).kill()
    assert farm.wait_for(killed, "done").attempt == 2
    assert farm.wait_for(spared, "done").attempt == 1
    for run_id in (killed, spared):
        farm.assert_complete(run_id)
    assert losses(farm, killed) == losses(farm, spared)
    [worker] = list_workers(farm.engine, datetime.now(UTC))
    assert (worker.is_alive, worker.num_slots, worker.num_busy) == (True, 2, 0)
    assert worker.device
    assert worker.memory_bytes


def test_another_worker_takes_over_when_worker_and_trainer_are_killed_together(farm: Farm) -> None:
    first = farm.start_worker(slots=1)
    run_id = farm.submit(steps=40)
    farm.wait_for(run_id, "running", step=5)
    farm.wait_for_checkpoint(run_id)
    first.kill()
    farm.trainer(run_id).kill()
    farm.start_worker(slots=1)
    assert farm.wait_for(run_id, "done").attempt == 2
    farm.assert_complete(run_id)


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
def test_a_trainer_left_by_its_worker_trains_on_and_the_next_worker_watches_it(
    farm: Farm, end: signal.Signals
) -> None:
    worker = farm.start_worker()
    run_id = farm.submit(steps=5000)
    first = farm.wait_for(run_id, "running", step=5)
    trainer = farm.trainer(run_id)
    worker.send_signal(end)
    worker.wait(30)
    farm.start_worker()
    adopted = farm.wait(
        "nobody adopted it",
        lambda: run if (run := farm.run(run_id)).worker_id != first.worker_id else None,
    )
    assert (adopted.attempt, trainer.is_running()) == (1, True)
    trainer.kill()
    farm.wait("it was not tried again", lambda: farm.run(run_id).attempt == 2)
    farm.wait_for(run_id, "running")
    client.stop(farm.engine, farm.settings, run_id)
    farm.wait_for(run_id, "stopped")


def test_a_worker_that_must_not_leave_trainers_gives_their_runs_back_to_the_queue(
    farm: Farm,
) -> None:
    worker = farm.start_worker(RANKSCOPE_ON_SHUTDOWN="requeue")
    run_id = farm.submit("checkpoint.every_s=3600", steps=60)
    farm.wait_for(run_id, "running", step=5)
    trainer = farm.trainer(run_id)
    worker.terminate()
    assert worker.wait(60) == 0
    given_back = farm.run(run_id)
    assert given_back.status == "queued"
    assert not trainer.is_running()
    assert list_workers(farm.engine, datetime.now(UTC)) == []
    farm.start_worker()
    assert farm.wait_for(run_id, "done").attempt == 2
    farm.assert_complete(run_id)
    log = (farm.settings.runs_dir / run_id / "log.txt").read_text()
    assert log.count("running: scoring test (before)") == 1, "it began again from the start"


def test_a_stopped_run_goes_on_when_it_is_resumed(farm: Farm) -> None:
    farm.start_worker()
    run_id = farm.submit(steps=60)
    farm.wait_for(run_id, "running", step=5)
    client.stop(farm.engine, farm.settings, run_id)
    stopped = farm.wait_for(run_id, "stopped")
    assert 5 <= stopped.step < 60
    client.resume(farm.engine, farm.settings, run_id)
    farm.wait_for(run_id, "done")
    farm.assert_complete(run_id)


def test_a_run_whose_process_dies_four_times_is_failed_with_the_reason(farm: Farm) -> None:
    farm.start_worker()
    run_id = farm.submit()
    killed: set[int] = set()

    def kill_each() -> bool:
        _, pid = farm.process(run_id)
        if pid is not None and pid not in killed:
            with contextlib.suppress(psutil.NoSuchProcess):
                psutil.Process(pid).kill()
            killed.add(pid)
        return farm.run(run_id).status == "failed"

    farm.wait("it never failed", kill_each)
    assert len(killed) == 4
    assert "SIGKILL" in farm.run(run_id).status_reason


def test_runs_begin_in_the_order_of_the_queue_and_held_ones_wait(farm: Farm) -> None:
    held, second, first = (farm.submit(steps=2) for _ in range(3))
    hold(farm.engine, held)
    move_first(farm.engine, first)
    farm.start_worker(slots=1)
    ended_first = farm.wait_for(first, "done")
    ended_second = farm.wait_for(second, "done")
    assert ended_first.ended_at is not None
    assert ended_second.started_at is not None
    assert ended_first.ended_at < ended_second.started_at
    assert farm.run(held).status == "queued"
    release(farm.engine, held)
    farm.wait_for(held, "starting")


def test_a_stop_that_a_trainer_ignores_ends_it_by_force(farm: Farm) -> None:
    farm.start_worker(RANKSCOPE_STOP_GRACE_S="1", RANKSCOPE_LEASE_S="60")
    run_id = farm.submit(steps=5000)
    farm.wait_for(run_id, "running", step=5)
    trainer = farm.suspend(run_id)
    client.stop(farm.engine, farm.settings, run_id)
    assert "SIGKILL" in farm.wait_for(run_id, "stopped").status_reason
    assert not trainer.is_running()


def test_a_trainer_that_wakes_up_after_its_lease_changes_nothing_any_more(farm: Farm) -> None:
    farm.start_worker()
    run_id = farm.submit(steps=40)
    farm.wait_for(run_id, "running", step=5)
    farm.wait_for_checkpoint(run_id)
    sleeper = farm.suspend(run_id)
    farm.wait("its lease never ended", lambda: farm.run(run_id).attempt > 1)
    sleeper.resume()
    farm.wait_for(run_id, "done")
    farm.wait("the old process trains on", lambda: not sleeper.is_running())
    farm.assert_complete(run_id)


def test_workers_go_on_without_redis_and_hear_messages_again_when_it_is_back(
    farm: Farm, valkey: ValkeyServer
) -> None:
    farm.start_worker()
    before = farm.submit(steps=40)
    farm.wait_for(before, "running", step=5)
    valkey.stop()
    try:
        meanwhile = farm.submit()
        farm.wait_for(meanwhile, "done")
        farm.wait_for(before, "done")
        farm.assert_complete(before)
        assert list_workers(farm.engine, datetime.now(UTC))[0].is_alive
    finally:
        valkey.start()

    def exported() -> StoredArtifact | None:
        found = list_artifacts(farm.engine, meanwhile)
        return next((one for one in found if one.kind == "adapter"), None)

    client.request_export(farm.engine, farm.settings, meanwhile)
    adapter = farm.wait("no adapter", exported)
    assert adapter.step == 12
    folder = farm.settings.runs_dir / meanwhile / adapter.path
    assert (folder / "adapter_config.json").is_file()
    sizes = [path.stat().st_size for path in folder.rglob("*") if path.is_file()]
    assert adapter.size_bytes == sum(sizes)


def test_a_worker_that_finds_no_redis_says_so_without_its_password(farm: Farm) -> None:
    run_id = farm.submit(steps=2)
    farm.start_worker(REDIS_URL="redis://:open-sesame@127.0.0.1:7971/0")
    farm.wait_for(run_id, "starting", "running")
    farm.wait("it never looked for Redis", lambda: "7971" in farm.log_of(0).read_text())
    assert "open-sesame" not in farm.log_of(0).read_text()
