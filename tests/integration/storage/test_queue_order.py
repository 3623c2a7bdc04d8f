from collections.abc import Callable

import pytest
from sqlalchemy import Engine

from rankscope.storage.errors import RunRefusedError, UnknownRunError
from rankscope.storage.queue import claim_next
from rankscope.storage.queue_order import (
    hold,
    move_down,
    move_first,
    move_up,
    queue_listing,
    release,
)
from tests.integration.storage.examples import in_processes
from tests.integration.storage.test_queue import claim, queued

MOVE = """
from rankscope.storage.database import open_database
from rankscope.storage.queue_order import move_down, move_first, move_up
engine = open_database(sys.argv[1])
wait()
for number in range(30):
    for move in (move_up, move_down, move_first):
        move(engine, sys.argv[2 + number % 2])
"""


def order(engine: Engine) -> list[int | None]:
    """Seeds of the waiting runs, the next first."""
    return [run.seed for run in queue_listing(engine)]


def test_people_change_the_order_and_claims_follow_it(engine: Engine) -> None:
    runs = [queued(engine, seed) for seed in range(4)]
    assert order(engine) == [0, 1, 2, 3]
    move_up(engine, runs[3])
    assert order(engine) == [0, 1, 3, 2]
    move_first(engine, runs[2])
    assert order(engine) == [2, 0, 1, 3]
    move_down(engine, runs[2])
    move_down(engine, runs[2])
    assert order(engine) == [0, 1, 2, 3]
    assert [claim(engine).run_id for _ in range(4)] == runs


def test_the_ends_of_the_queue_are_kept(engine: Engine) -> None:
    first, last = queued(engine, 0), queued(engine, 1)
    move_up(engine, first)
    move_first(engine, first)
    move_down(engine, last)
    assert order(engine) == [0, 1]


def test_a_run_that_passes_a_more_urgent_one_takes_its_priority(engine: Engine) -> None:
    queued(engine, 0, priority=0)
    normal = queued(engine, 1)
    move_up(engine, normal)
    assert [(run.seed, run.priority) for run in queue_listing(engine)] == [(1, 0), (0, 5)]


def test_runs_move_among_those_of_their_own_queue(engine: Engine) -> None:
    queued(engine, 0), queued(engine, 1, queue="gpu")
    moved = queued(engine, 2)
    move_up(engine, moved)
    assert order(engine) == [2, 1, 0]


def test_a_held_run_waits_until_it_is_released(engine: Engine) -> None:
    run_id = queued(engine)
    hold(engine, run_id)
    hold(engine, run_id)
    assert [run.is_held for run in queue_listing(engine)] == [True]
    assert claim_next(engine, ["default"], worker_id="w", lease_s=30) is None
    release(engine, run_id)
    assert claim(engine).run_id == run_id


@pytest.mark.parametrize("change", [hold, release, move_up, move_down, move_first])
def test_only_waiting_runs_can_be_moved_or_held(
    engine: Engine, change: Callable[[Engine, str], None]
) -> None:
    with pytest.raises(UnknownRunError, match="nobody"):
        change(engine, "nobody")
    run_id = queued(engine)
    claim(engine)
    with pytest.raises(RunRefusedError, match=f"{run_id} which is starting"):
        change(engine, run_id)


def test_many_may_move_runs_at_once_and_no_two_end_at_one_place(engine: Engine, url: str) -> None:
    runs = [queued(engine, seed) for seed in range(4)]
    in_processes(MOVE, [[url, *runs[:2]], [url, *runs[2:]], [url, *runs[1:3]]])
    waiting = queue_listing(engine)
    assert {run.seed for run in waiting} == {0, 1, 2, 3}
    assert len({(run.priority, run.position) for run in waiting}) == 4
