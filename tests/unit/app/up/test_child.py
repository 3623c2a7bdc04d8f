"""Processes that are looked after; each test starts real ones."""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rankscope.app.up.child import Child, end_leftover, started_at

SLEEP = "import time; print('up', flush=True); time.sleep(600)"
DEAF = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
    "print('up', flush=True); time.sleep(600)"
)
Make = Callable[[str], Child]


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def make(tmp_path: Path, said: list[str]) -> Iterator[Make]:
    made: list[Child] = []

    def child(program: str) -> Child:
        made.append(
            Child(
                "sleeper",
                [sys.executable, "-c", program],
                environment=os.environ,
                log=tmp_path / "logs" / "sleeper.log",
                say=said.append,
            )
        )
        return made[-1]

    yield child
    for one in made:
        one.stop(0)


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_child_that_was_killed_comes_back_and_people_are_told(
    make: Make, said: list[str]
) -> None:
    child = make(SLEEP)
    child.start()
    first = child.identity()
    assert first is not None
    os.kill(first[0], signal.SIGKILL)
    wait_for(child.tend)
    second = child.identity()
    assert second is not None
    assert second[0] != first[0]
    assert said == [f"sleeper was ended by SIGKILL; starting it again, see {child.log}"]
    assert child.num_ends == 1


def test_the_pause_before_another_start_grows(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rankscope.app.up.child.FIRST_PAUSE_S", 0.05)
    child = make("raise SystemExit(3)")
    child.start()
    starts = []
    for _ in range(4):
        wait_for(child.tend)
        wait_for(child.has_ended)
        starts.append(time.monotonic())
    assert child.how_it_ended() == "ended with exit code 3"


def test_its_output_is_kept_and_its_last_lines_can_be_shown(make: Make) -> None:
    child = make("print('one'); print(); print('two'); import sys; print('three', file=sys.stderr)")
    child.start()
    wait_for(child.has_ended)
    assert child.last_lines(2) == ["two", "three"]
    assert make(SLEEP).last_lines(1) == ["three"]


def test_a_child_that_ignores_being_asked_is_ended(make: Make) -> None:
    child = make(DEAF)
    child.start()
    wait_for(lambda: child.last_lines(1))
    child.stop(0.2)
    assert child.has_ended()
    assert child.how_it_ended() == "was ended by SIGKILL"


def test_a_stopped_child_stays_stopped(make: Make) -> None:
    child = make(SLEEP)
    child.start()
    wait_for(lambda: child.last_lines(1))
    child.stop(10)
    assert child.how_it_ended() == "was ended by SIGTERM"
    assert child.identity() is None


def test_a_leftover_is_ended_only_if_it_is_the_very_process(make: Make) -> None:
    child = make(SLEEP)
    child.start()
    found = child.identity()
    assert found is not None
    pid, moment = found
    assert not end_leftover(pid, moment - 60, 5), "a later process with the same id"
    assert started_at(pid) is not None
    assert end_leftover(pid, moment, 5)
    wait_for(child.has_ended)
    assert not end_leftover(pid, moment, 5)
