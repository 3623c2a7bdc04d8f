import json
from datetime import UTC, datetime, timedelta

import pytest
from alembic import command
from sqlalchemy import Engine, update

from rankscope.storage.database import migrate, open_database, writing
from rankscope.storage.errors import FencedOutError, RunRefusedError, UnknownRunError
from rankscope.storage.migrating import alembic_config
from rankscope.storage.queue import (
    MAX_REQUEUES,
    Claim,
    adopt,
    claim_next,
    end_attempt,
    live_processes,
    record_process,
    requeue,
    requeue_expired,
)
from rankscope.storage.runs import create_run, get_run, request_control
from rankscope.storage.sink import Sink
from rankscope.storage.tables import Run
from tests.integration.storage.examples import config, in_processes, inventory, status, step_done

CLAIM_ALL = """
import json
from rankscope.storage.database import open_database
from rankscope.storage.queue import claim_next
engine = open_database(sys.argv[1])
wait()
claimed = []
while claim := claim_next(engine, ["default"], worker_id=sys.argv[2], lease_s=30):
    claimed.append(claim)
print(json.dumps(claimed))
"""
REQUEUE_ALL = """
import json
from datetime import UTC, datetime
from rankscope.storage.database import open_database
from rankscope.storage.queue import requeue_expired
engine = open_database(sys.argv[1])
wait()
print(json.dumps(requeue_expired(engine, datetime.now(UTC))))
"""


def queued(engine: Engine, seed: int = 0, *, priority: int = 5, queue: str = "default") -> str:
    return create_run(
        engine, config(seed=seed), origin="queue", owner="ada", priority=priority, queue=queue
    )


def claim(engine: Engine, *, lease_s: float = 30.0) -> Claim:
    claimed = claim_next(engine, ["default"], worker_id="w", lease_s=lease_s)
    assert claimed is not None
    return claimed


def test_of_racing_processes_exactly_one_claims_each_run_and_in_order(
    engine: Engine, url: str
) -> None:
    runs = [queued(engine, seed, priority=seed % 3) for seed in range(24)]
    by_priority = sorted(range(24), key=lambda seed: (seed % 3, seed))
    order = {runs[seed]: place for place, seed in enumerate(by_priority)}
    printed = in_processes(CLAIM_ALL, [[url, f"w{number}"] for number in range(4)])
    claimed = {f"w{number}": json.loads(line) for number, line in enumerate(printed)}
    won = [run_id for claims in claimed.values() for run_id, _ in claims]
    assert sorted(won) == sorted(runs)
    for worker, claims in claimed.items():
        places = [order[run_id] for run_id, _ in claims]
        assert places == sorted(places)
        for run_id, attempt in claims:
            run = get_run(engine, run_id)
            assert (run.status, run.worker_id, run.attempt, attempt) == ("starting", worker, 1, 1)


def test_of_racing_reapers_one_requeues_a_run_whose_lease_is_over(engine: Engine, url: str) -> None:
    runs = [queued(engine, seed) for seed in range(6)]
    for _ in runs:
        claim(engine, lease_s=-1)
    requeued = [json.loads(line) for line in in_processes(REQUEUE_ALL, [[url]] * 3)]
    assert sorted(run_id for some in requeued for run_id in some) == sorted(runs)
    with engine.connect() as connection:
        counts = connection.execute(Run.__table__.select()).mappings().all()
    assert {(row["status"], row["num_requeues"]) for row in counts} == {("queued", 1)}


def test_the_most_urgent_run_is_claimed_first_then_the_longest_waiting(engine: Engine) -> None:
    late = queued(engine, 0, priority=9)
    first, second = queued(engine, 1), queued(engine, 2)
    urgent = queued(engine, 3, priority=0)
    assert [claim(engine).run_id for _ in range(4)] == [urgent, first, second, late]


def test_held_runs_and_runs_of_other_queues_are_passed_over(engine: Engine) -> None:
    held, elsewhere, free = queued(engine, 0), queued(engine, 1, queue="gpu"), queued(engine, 2)
    with writing(engine) as connection:
        connection.execute(update(Run).where(Run.id == held).values(is_held=True))
    assert claim(engine).run_id == free
    assert claim_next(engine, ["default"], worker_id="w", lease_s=30) is None
    gpu = claim_next(engine, ["default", "gpu"], worker_id="w", lease_s=30)
    assert gpu == (elsewhere, 1)


def test_an_attempt_is_fenced_out_from_the_moment_its_run_is_requeued(engine: Engine) -> None:
    run_id = queued(engine)
    old = claim(engine)
    sink = Sink(engine, run_id, old.attempt, inventory(), flush_s=0.02)
    sink.emit(status("running"))
    sink.emit(step_done(1))
    sink.flush()
    assert requeue(engine, *old, "its process vanished", counts=True) == "queued"
    sink.emit(step_done(2))
    with pytest.raises(FencedOutError):
        sink.close()
    run = get_run(engine, run_id)
    assert (run.status, run.status_reason, run.step) == ("queued", "its process vanished", 1)
    assert run.lease_until is None
    assert claim(engine) == (run_id, 2)
    assert requeue(engine, *old, "again", counts=True) == "starting"
    assert get_run(engine, run_id).attempt == 2


def test_a_run_is_tried_again_three_times_then_it_fails(engine: Engine) -> None:
    run_id = queued(engine)
    for _ in range(MAX_REQUEUES):
        assert requeue(engine, *claim(engine), "killed by SIGKILL", counts=True) == "queued"
    assert requeue(engine, *claim(engine), "killed by SIGKILL", counts=True) == "failed"
    run = get_run(engine, run_id)
    assert run.status_reason.startswith("killed by SIGKILL; it was tried again 3 times")
    assert run.ended_at is not None
    assert claim_next(engine, ["default"], worker_id="w", lease_s=30) is None


def test_a_shutdown_of_workers_never_counts(engine: Engine) -> None:
    queued(engine)
    for _ in range(MAX_REQUEUES + 2):
        assert requeue(engine, *claim(engine), "the worker was shut down", counts=False) == "queued"


def test_a_requeued_run_keeps_its_place(engine: Engine) -> None:
    first, _ = queued(engine, 0), queued(engine, 1)
    requeue(engine, *claim(engine), "killed", counts=True)
    assert claim(engine).run_id == first


def test_a_run_asked_to_stop_is_not_started_again_when_its_process_dies(engine: Engine) -> None:
    run_id = queued(engine)
    claimed = claim(engine)
    request_control(engine, run_id, "stop")
    assert requeue(engine, *claimed, "killed by SIGKILL", counts=True) == "stopped"
    assert get_run(engine, run_id).status_reason == "stopped as asked; killed by SIGKILL"


def test_a_request_dies_with_the_run_it_was_for(engine: Engine) -> None:
    run_id = queued(engine)
    claimed = claim(engine)
    request_control(engine, run_id, "stop")
    assert end_attempt(engine, *claimed, "failed", "no disk")
    assert not end_attempt(engine, *claimed, "stopped", "too late")
    assert get_run(engine, run_id).status_reason == "no disk"
    request_left = "SELECT count(*) FROM controls"
    with engine.connect() as connection:
        assert connection.exec_driver_sql(request_left).scalar_one() == 0


def test_external_runs_without_a_sign_of_life_are_lost_and_others_are_left_alone(
    engine: Engine,
) -> None:
    external = create_run(engine, config(), origin="external", owner="ada")
    foreground = create_run(engine, config(), origin="foreground", owner="ada")
    waiting = queued(engine, 1)
    alive = claim(engine)
    assert alive.run_id == waiting
    still_waiting = queued(engine, 2)
    assert requeue_expired(engine, datetime.now(UTC)) == []
    later = datetime.now(UTC) + timedelta(hours=1)
    assert sorted(requeue_expired(engine, later)) == sorted([external, waiting])
    assert get_run(engine, external).status == "lost"
    assert get_run(engine, foreground).status == "starting"
    assert get_run(engine, waiting).status == "queued"
    assert get_run(engine, still_waiting).status == "queued"
    assert requeue_expired(engine, later) == []


def test_processes_are_found_on_their_host_until_their_attempt_is_over(engine: Engine) -> None:
    queued(engine)
    claimed = claim(engine)
    assert live_processes(engine, "here") == []
    record_process(engine, *claimed, host="here", pid=42, started_at=1.25)
    assert live_processes(engine, "here") == [(*claimed, 42, 1.25, "w")]
    assert live_processes(engine, "there") == []
    assert adopt(engine, *claimed, worker_id="next")
    assert live_processes(engine, "here")[0].worker_id == "next"
    requeue(engine, *claimed, "killed", counts=True)
    assert not adopt(engine, *claimed, worker_id="late")
    record_process(engine, *claimed, host="here", pid=42, started_at=1.25)
    assert live_processes(engine, "here") == []
    claim(engine)
    assert live_processes(engine, "here") == []


def test_an_unknown_run_is_refused(engine: Engine) -> None:
    with pytest.raises(UnknownRunError, match="nobody"):
        requeue(engine, "nobody", 1, "killed", counts=True)


def test_a_claim_does_not_begin_a_run_that_is_stopped_meanwhile(engine: Engine) -> None:
    run_id = queued(engine)
    claimed = claim(engine)
    end_attempt(engine, *claimed, "stopped", "as asked")
    assert requeue(engine, *claimed, "killed", counts=True) == "stopped"
    with pytest.raises(RunRefusedError, match="which is stopped"):
        request_control(engine, run_id, "stop")


def test_runs_of_a_database_from_before_the_queue_are_kept_and_can_be_claimed(
    empty_url: str,
) -> None:
    engine = open_database(empty_url)
    migrate(engine)
    run_id = queued(engine)
    with writing(engine) as connection:
        command.downgrade(alembic_config(connection), "0001")
    migrate(engine)
    assert get_run(engine, run_id).config == config()
    assert claim(engine) == (run_id, 1)
    engine.dispose()
