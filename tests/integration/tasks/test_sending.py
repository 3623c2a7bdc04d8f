"""Events on their way to a server that answers, is away, refuses, or never comes back."""

import itertools
import logging
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from rankscope.models.budgets import ParamsBudget
from rankscope.models.events import Event, LogLine, RanksChanged, StatusChanged, StepDone
from rankscope.models.external import ExternalRun, ExternalScheduler, ExternalTraining
from rankscope.storage import history
from rankscope.storage.control import request_control
from rankscope.storage.runs import get_run
from rankscope.tasks import sending
from rankscope.tasks.remote import RemoteError, Server, ServerAway
from rankscope.tasks.sending import Sender, thinned
from tests.helpers.told import Told
from tests.integration.storage.examples import inventory

NAMES = [module.name for module in inventory().modules]


def sender_to(url: str, key: str = "key of a test") -> Sender:
    described = ExternalRun(
        budget=ParamsBudget(value=48),
        scheduler=ExternalScheduler(name="mine"),
        training=ExternalTraining(steps=100),
    )
    return Sender(Server(url), described, inventory(), key=key, other_trainable_params=5)


def step_done(step: int) -> StepDone:
    return StepDone(step=step, time=time.time(), loss=1 / step, lr=0.01, step_s=0.1)


def ranks_changed(step: int, rank: int) -> RanksChanged:
    return RanksChanged(
        step=step,
        time=time.time(),
        ranks=dict.fromkeys(NAMES, rank),
        cause="start" if step == 0 else "scheduler",
        moved_params=0,
        live_params=48 * rank,
    )


def status(word: str, step: int = 0) -> StatusChanged:
    return StatusChanged.model_validate({"step": step, "time": time.time(), "status": word})


def wait_for(look: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not look():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_all_that_was_offered_is_recorded_in_order_once(tmp_path: Path) -> None:
    with Told(tmp_path) as told:
        sender = sender_to(told.url)
        sender.start()
        events: list[Event] = [status("running"), ranks_changed(0, 1)]
        events += [step_done(step) for step in range(1, 2_501)]
        for event in [*events, status("done", 2_500)]:
            sender.offer(event)
        assert sender.close(60) == 0
        run = get_run(told.engine, sender.run_id or "")
        assert (run.status, run.step, run.other_trainable_params) == ("done", 2_500, 5)
        steps = history.metrics(told.engine, run.id)["step"].tolist()
        assert steps == list(range(1, 2_501))
        assert history.rank_map(told.engine, run.id) == dict.fromkeys(NAMES, 1)


def test_a_server_that_is_away_for_a_while_misses_nothing(tmp_path: Path) -> None:
    with Told(tmp_path) as told:
        sender = sender_to(told.url)
        sender.start()
        run_id = sender.run_id or ""
        sender.offer(status("running"))
        for step in itertools.count(1):
            if step == 5:
                wait_for(lambda: get_run(told.engine, run_id).status == "running")
                told.stop()
            sender.offer(step_done(step))
            if step == 40:
                break
            time.sleep(0.02)
        told.start()
        sender.offer(status("done", 40))
        assert sender.close(60) == 0
        assert sender.failure is None
        assert history.metrics(told.engine, run_id)["step"].tolist() == list(range(1, 41))
        assert get_run(told.engine, run_id).status == "done"


def test_a_server_that_is_away_at_first_is_told_everything_later(tmp_path: Path) -> None:
    with Told(tmp_path) as told:
        told.stop()
        sender = sender_to(told.url)
        sender.start()
        sender.offer(status("running"))
        sender.offer(step_done(1))
        assert sender.run_id is None
        told.start()
        wait_for(lambda: sender.run_id)
        assert sender.close(60) == 0
        assert history.metrics(told.engine, sender.run_id or "")["step"].tolist() == [1]


def test_a_server_that_never_comes_back_is_given_up_in_time(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    told = Told(tmp_path)
    told.start()
    sender = sender_to(told.url)
    sender.start()
    told.stop()
    sender.offer(status("running"))
    started_s = time.monotonic()
    with caplog.at_level(logging.ERROR, sending.__name__):
        assert sender.close(0.5) == 1
    assert time.monotonic() - started_s < 30
    assert "Rankscope must answer at" in (sender.failure or "")
    assert "training goes on" in caplog.text
    told.engine.dispose()


def test_a_refusal_while_training_ends_the_sending_and_nothing_else(tmp_path: Path) -> None:
    with Told(tmp_path) as told:
        sender = sender_to(told.url)
        sender.start()
        sender.offer(status("done"))
        wait_for(lambda: get_run(told.engine, sender.run_id or "").status == "done")
        sender.offer(step_done(1))
        wait_for(lambda: sender.failure)
        assert "has not ended" in (sender.failure or "")
        sender.offer(step_done(2))
        assert sender.close(5) >= 0


def test_a_refusal_at_the_start_is_raised(tmp_path: Path) -> None:
    with Told(tmp_path) as told:
        sender = sender_to(told.url, key="short")
        with pytest.raises(RemoteError, match=r"\(422\): key"):
            sender.start()
        assert sender.close(1) == 0


def test_what_people_ask_for_on_the_page_comes_back(tmp_path: Path) -> None:
    with Told(tmp_path) as told:
        sender = sender_to(told.url)
        sender.start()
        sender.offer(status("running"))
        wait_for(lambda: get_run(told.engine, sender.run_id or "").status == "running")
        assert sender.take_request() is None
        request_control(told.engine, sender.run_id or "", "stop")
        sender.offer(step_done(1))
        wait_for(lambda: sender.take_request() == "stop")
        sender.offer(status("stopped", 1))
        assert sender.close(60) == 0


def test_losses_are_thinned_from_the_oldest_on_and_nothing_else_is() -> None:
    events: list[Event] = [ranks_changed(0, 1), *(step_done(step) for step in range(1, 100))]
    events += [ranks_changed(99, 2), LogLine(step=99, time=0.0, level="info", text="x")]
    kept = thinned(events)
    assert [e for e in kept if not isinstance(e, StepDone)] == [
        e for e in events if not isinstance(e, StepDone)
    ]
    steps = [e.step for e in kept if isinstance(e, StepDone)]
    assert steps == [*range(2, 51, 2), *range(51, 100)]


def test_so_much_as_waits_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "MAX_WAITING_STEPS", 100)
    sender = sender_to("http://127.0.0.1:9")  # nobody listens there
    for step in range(1, 1_000):
        sender.offer(step_done(step))
    sender.offer(ranks_changed(999, 1))
    assert sender.close(0) <= 102


@pytest.mark.parametrize("url", ["http://127.0.0.1:9", "https://127.0.0.1:9/sub"])
def test_nobody_there_is_told_in_one_line(url: str) -> None:
    with Server(url) as server, pytest.raises(ServerAway, match="it does not") as away:
        server.get("/api/runs")
    assert "\n" not in str(away.value)
