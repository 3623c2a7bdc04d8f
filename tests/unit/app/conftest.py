"""A home of its own for every test that runs commands, and one with runs in it."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from rankscope.app.cli import main
from tests.unit.app.past_runs import PastRuns, record_runs

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def empty_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANKSCOPE_HOME", str(tmp_path_factory.mktemp("home")))
    monkeypatch.delenv("DATABASE_URL", raising=False)


@pytest.fixture(scope="session")
def recorded_once(tmp_path_factory: pytest.TempPathFactory) -> PastRuns:
    return record_runs(tmp_path_factory.mktemp("past"))


@pytest.fixture
def past_runs(recorded_once: PastRuns, monkeypatch: pytest.MonkeyPatch) -> PastRuns:
    """Two seeds each of uniform and static, done; only to be read."""
    monkeypatch.setenv("RANKSCOPE_HOME", str(recorded_once.home))
    monkeypatch.delenv("DATABASE_URL", raising=False)
    return recorded_once


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Call:
    """Run a command in this process: exit code, stdout, stderr."""

    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(list(arguments))
        said = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return ended.value.code, said.out, said.err

    return run


@pytest.fixture
def answer_of(call: Call) -> Callable[..., Any]:
    """The JSON object on the last line of a successful command's stdout."""

    def run(*arguments: str) -> Any:
        code, said, complained = call(*arguments)
        assert (code, complained) == (0, "")
        return json.loads(said.splitlines()[-1])

    return run
