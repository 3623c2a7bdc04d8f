"""The demonstration from its command to its result, with real services and trainings."""

import json
import os
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from sqlalchemy import Engine, select

from rankscope.app.up.home_lock import holder_of
from rankscope.storage import history
from rankscope.storage.artifacts import RunFolder
from rankscope.storage.database import open_database
from rankscope.storage.queue import LiveProcess, live_processes
from rankscope.storage.runs import RunRecord, get_run
from rankscope.storage.settings import Settings
from rankscope.storage.tables import Run
from tests.helpers.command import CommandLine
from tests.helpers.stack import free_port


@pytest.fixture
def rankscope() -> Iterator[CommandLine]:
    # not tmp_path: the private server's socket lies in the home and its path must be short
    with tempfile.TemporaryDirectory(prefix="rs-", ignore_cleanup_errors=True) as name:
        yield CommandLine(Path(name))


@pytest.mark.timeout(420)
def test_the_quick_demo_survives_a_killed_training_and_ends_with_one_json_line(
    rankscope: CommandLine,
) -> None:
    demo = rankscope.start("demo", "--quick", "--no-serve", "--json", "--port", str(free_port()))
    engine = _database(demo, rankscope.home)
    killed = _wait_for(demo, lambda: _trainer_with_checkpoint(engine, rankscope.home))
    os.kill(killed.pid, signal.SIGKILL)
    said, complained = demo.communicate(timeout=400)
    assert demo.returncode == 0, complained
    answer = json.loads(said.splitlines()[-1])
    assert answer.keys() == {"runs", "wall_s", "arms"}
    assert [arm["scheduler"] for arm in answer["arms"]] == ["uniform", "hydra", "adalora"]
    assert {arm["budget_params"] for arm in answer["arms"]} == {29_696}
    for arm in answer["arms"]:
        low, high = arm["accuracy_ci95"]
        assert low < arm["accuracy_mean"] < high
        assert (arm["ci_basis"], arm["items"], arm["seeds"]) == ("items", 1024, 1)
        assert arm["accuracy_before"] < low
    assert answer["arms"][0]["rank_events"] == 0
    assert answer["arms"][1]["rank_events"] > 0
    assert answer["arms"][1]["params_moved"] > 0
    assert answer["arms"][1]["max_live_params"] <= 29_696
    assert "Watch it live: http://127.0.0.1:" in complained
    assert "no evidence" in complained
    rows = {run_id: get_run(engine, run_id) for run_id in answer["runs"]}
    assert {run.status for run in rows.values()} == {"done"}
    assert {run_id: run.attempt for run_id, run in rows.items()} == {
        run_id: 2 if run_id == killed.run_id else 1 for run_id in answer["runs"]
    }
    again = history.metrics(engine, killed.run_id)
    assert list(again["step"]) == list(range(1, 151))
    assert holder_of(rankscope.home) is None


@pytest.mark.timeout(300)
def test_ctrl_c_stops_a_demos_runs_and_only_the_services_it_started(rankscope: CommandLine) -> None:
    """The second demo uses the first one's services, and leaves them when it is interrupted."""
    port = free_port()
    first = rankscope.start("demo", "--port", str(port))
    engine = _database(first, rankscope.home)
    _wait_for(first, lambda: any(run.step for run in _runs(engine)))
    second = rankscope.start("demo", "--quick", "--port", str(port))
    _wait_for(second, lambda: len(_runs(engine)) == 12)
    second.send_signal(signal.SIGINT)
    _, complained = second.communicate(timeout=60)
    assert second.returncode == 130, complained
    assert f"using the rankscope up that runs at http://127.0.0.1:{port}" in complained
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5) as answer:
        assert answer.status == 200
    assert [run.status for run in _runs(engine)[9:]] == ["stopped"] * 3
    assert first.poll() is None
    first.send_signal(signal.SIGINT)
    _, complained = first.communicate(timeout=90)
    assert first.returncode == 130, complained
    ended = _runs(engine)
    assert {run.status for run in ended} <= {"stopped", "done"}
    trained = [run for run in ended if run.step]
    assert trained
    settings = Settings(rankscope_home=rankscope.home)
    assert all(RunFolder(settings, run.id).checkpoints(engine) for run in trained)
    assert holder_of(rankscope.home) is None
    left = [p for p in psutil.process_iter(["environ"]) if _is_of(p, rankscope.home)]
    assert not psutil.wait_procs(left, timeout=20)[1]  # a trainer says "stopped" and then ends


def _database(demo: "subprocess.Popen[str]", home: Path) -> Engine:
    _wait_for(demo, (home / "rankscope.db").exists)
    engine = open_database(Settings(rankscope_home=home).database_url)
    _wait_for(demo, lambda: (holder_of(home) or {}).get("url") and _runs(engine))
    return engine


def _runs(engine: Engine) -> list[RunRecord]:
    """All runs, the oldest first."""
    with engine.connect() as connection:
        ids = list(connection.execute(select(Run.id).order_by(Run.created_at, Run.id)).scalars())
    return [get_run(engine, run_id) for run_id in ids]


def _trainer_with_checkpoint(engine: Engine, home: Path) -> LiveProcess | None:
    """The process of a run that has saved its state and is not about to end."""
    for process in live_processes(engine, socket.gethostname()):
        folder = RunFolder(Settings(rankscope_home=home), process.run_id)
        if folder.checkpoints(engine) and get_run(engine, process.run_id).step < 120:
            return process
    return None


def _wait_for(demo: "subprocess.Popen[str]", what: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + 120
    while not (found := what()):
        assert demo.poll() is None, demo.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return found


def _is_of(process: psutil.Process, home: Path) -> bool:
    return (process.info["environ"] or {}).get("RANKSCOPE_HOME") == str(home)
