import pytest
from sqlalchemy import Engine

from rankscope.storage.control import take_control
from rankscope.storage.errors import RunRefusedError, UnknownRunError
from rankscope.storage.queue import claim_next, end_attempt, requeue
from rankscope.storage.queue_order import hold
from rankscope.storage.runs import create_run, get_run
from rankscope.storage.stopping import requeue_ended, stop_run
from tests.integration.storage.examples import config
from tests.integration.storage.test_queue import claim, queued


def test_a_waiting_run_is_stopped_at_once(engine: Engine) -> None:
    run_id = queued(engine)
    assert stop_run(engine, run_id) == "stopped"
    run = get_run(engine, run_id)
    assert run.ended_at is not None
    assert run.status_reason == "stopped while it waited in the queue"
    assert claim_next(engine, ["default"], worker_id="w", lease_s=30) is None


def test_a_live_run_is_asked_to_stop_and_asking_twice_is_asking_once(engine: Engine) -> None:
    run_id = queued(engine)
    claimed = claim(engine)
    assert stop_run(engine, run_id) == "starting"
    assert stop_run(engine, run_id) == "starting"
    assert take_control(engine, *claimed) == {"stop"}


def test_a_run_that_has_ended_cannot_be_stopped(engine: Engine) -> None:
    run_id = queued(engine)
    stop_run(engine, run_id)
    with pytest.raises(RunRefusedError, match="which is stopped"):
        stop_run(engine, run_id)
    with pytest.raises(UnknownRunError, match="nobody"):
        stop_run(engine, "nobody")


def test_a_stopped_run_goes_on_at_the_end_of_the_queue_with_its_tries_given_back(
    engine: Engine,
) -> None:
    run_id = queued(engine, 0)
    for _ in range(2):
        requeue(engine, *claim(engine), "killed", counts=True)
    hold(engine, run_id)
    stop_run(engine, run_id)
    other = queued(engine, 1)
    requeue_ended(engine, run_id)
    run = get_run(engine, run_id)
    assert (run.status, run.status_reason, run.ended_at) == ("queued", "", None)
    assert claim(engine) == (other, 1)
    assert claim(engine) == (run_id, 3)
    for number in range(3):
        assert requeue(engine, run_id, 3 + number, "killed", counts=True) == "queued"
        claim(engine)


def test_only_a_run_of_the_queue_that_has_ended_goes_back_to_it(engine: Engine) -> None:
    waiting = queued(engine)
    with pytest.raises(RunRefusedError, match="which is queued"):
        requeue_ended(engine, waiting)
    foreground = create_run(engine, config(seed=1), origin="foreground", owner="ada")
    assert end_attempt(engine, foreground, 0, "failed", "no disk")
    with pytest.raises(RunRefusedError, match=f"rankscope resume {foreground}"):
        requeue_ended(engine, foreground)
    with pytest.raises(UnknownRunError, match="nobody"):
        requeue_ended(engine, "nobody")
