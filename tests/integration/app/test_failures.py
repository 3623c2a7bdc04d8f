"""Runs that go wrong end in ``failed`` with reason and log, and keep what they recorded."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from sqlalchemy import Engine

from rankscope.storage import history
from rankscope.storage.database import open_database
from rankscope.storage.finding import list_runs
from rankscope.storage.runs import get_run
from tests.helpers.command import TINY_RUN, CommandLine

LONG_RUN = [*TINY_RUN, "--set", "training.steps=3000", "--set", "checkpoint.every_s=0.5"]


def database_of(rankscope: CommandLine) -> Engine:
    return open_database(f"sqlite:///{rankscope.home}/rankscope.db")


def wait_for_steps(rankscope: CommandLine, num_steps: int, timeout_s: float = 120) -> str:
    """Wait until the only run has recorded so many steps and saved a checkpoint; return its id."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if list(rankscope.home.glob("runs/*/checkpoints/step-*/state.json")):
            runs = list_runs(database_of(rankscope))
            if runs["step"][0] >= num_steps:
                return str(runs["id"][0])
        time.sleep(0.2)
    raise AssertionError(f"no run reached step {num_steps} within {timeout_s} s")


def trainer_of(process: "subprocess.Popen[str]") -> psutil.Process:
    children = psutil.Process(process.pid).children()
    return next(child for child in children if "rankscope.tasks.trainer" in child.cmdline())


def test_a_killed_process_fails_the_run_and_resume_ends_it(
    rankscope: CommandLine, demo: str
) -> None:
    command = rankscope.start("run", demo, *LONG_RUN)
    run_id = wait_for_steps(rankscope, 5)
    trainer_of(command).send_signal(signal.SIGKILL)
    _, said = command.communicate(timeout=60)
    assert command.returncode == 1
    assert "SIGKILL" in said
    engine = database_of(rankscope)
    run = get_run(engine, run_id)
    assert run.status == "failed"
    assert "SIGKILL" in run.status_reason
    recorded = history.metrics(engine, run_id)
    assert recorded["step"].tolist() == list(range(1, len(recorded) + 1))
    assert len(recorded) >= 5

    again = rankscope.start("resume", run_id)
    time.sleep(1)
    deadline = time.monotonic() + 120
    while get_run(engine, run_id).step <= recorded["step"].max():
        assert time.monotonic() < deadline, "the resumed run makes no progress"
        time.sleep(0.2)
    again.send_signal(signal.SIGINT)
    again.communicate(timeout=60)
    assert again.returncode == 130
    assert get_run(engine, run_id).status == "stopped"
    steps = history.metrics(engine, run_id)["step"].tolist()
    assert steps == list(range(1, len(steps) + 1))


def test_a_loss_that_is_no_number_fails_the_run_with_the_remedy(
    rankscope: CommandLine, demo: str
) -> None:
    wild = ["--set", "optimizer.lr=1", "--set", "lora.scale=256", "--set", "scheduler.kind=uniform"]
    wild += ["--set", "optimizer.max_grad_norm=1000000", "--set", "training.steps=200"]
    done = rankscope("run", demo, *TINY_RUN, *wild, code=1)
    assert "the training loss must stay finite" in done.stderr
    assert "lower optimizer.lr=1" in done.stderr
    engine = database_of(rankscope)
    run = get_run(engine, str(list_runs(engine)["id"][0]))
    assert run.status == "failed"
    assert "optimizer.lr" in run.status_reason
    assert len(history.metrics(engine, run.id)) >= 1
    assert "TrainingDiverged" in rankscope("logs", run.id).stdout
    shutil.rmtree(rankscope.home / "runs")
    assert "TrainingDiverged" in rankscope("logs", run.id).stdout, "the record keeps the trace"


def test_a_full_disk_fails_the_run_and_keeps_what_was_recorded(demo: str, tmp_path: Path) -> None:
    """The runs' folder is a real file system of 200 kB; the database lies elsewhere."""
    if shutil.which("unshare") is None:
        raise RuntimeError("this test mounts a small disk; run: apt-get install util-linux")
    small = tmp_path / "small"
    small.mkdir()
    database = f"sqlite:///{tmp_path}/elsewhere.db"
    full = CommandLine(small, DATABASE_URL=database)
    command = full.command("run", demo, *TINY_RUN, "--set", "checkpoint.every_s=0.001")
    script = 'mount -t tmpfs -o size=200k tmpfs "$0" && exec "$@"'
    as_root = [] if os.geteuid() == 0 else ["--map-root-user"]
    done = subprocess.run(
        ["unshare", *as_root, "--mount", "sh", "-c", script, str(small), *command],
        capture_output=True,
        text=True,
        env=full.environment,
        timeout=200,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    assert "No space left on device" in done.stderr
    assert "free disk space and resume" in done.stderr
    engine = open_database(database)
    run = get_run(engine, str(list_runs(engine)["id"][0]))
    assert run.status == "failed"
    assert "No space left on device" in run.status_reason
    assert len(history.metrics(engine, run.id)) >= 1
    assert history.rank_map(engine, run.id)


def test_a_foreground_run_whose_whole_family_died_is_closed_by_the_next_command(
    rankscope: CommandLine, demo: str
) -> None:
    command = rankscope.start("run", demo, *LONG_RUN)
    run_id = wait_for_steps(rankscope, 3)
    trainer = trainer_of(command)
    command.kill()
    command.communicate(timeout=30)
    trainer.kill()
    engine = database_of(rankscope)
    assert get_run(engine, run_id).status == "running"
    with engine.begin() as connection:
        # What waiting for the lease would do.
        connection.exec_driver_sql("UPDATE runs SET lease_until = '2026-01-01 00:00:00'")
    listed = rankscope.answer("runs")["runs"]
    assert [(one["id"], one["status"]) for one in listed] == [(run_id, "failed")]
    assert "lease expired" in listed[0]["status_reason"]


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["optimizer.speed=3"], ["optimizer.speed", "not a known key", "remove"]),
        (["training.steps=many"], ["training.steps", "whole number", '"many"']),
        (["model.kind=gpt"], ["model", "gpt"]),
        (["data.kind=imagenet"], ["data.kind", "'scenes'", "'imagenet'", "choose"]),
        (["scheduler.kind=magic"], ["scheduler.kind", "'hydra'", "'magic'", "choose"]),
        (["lora.min_rank=2"], ["lora.min_rank=2", "26,112", "13,056", "raise the budget"]),
        (["budget={unit: params, value: 100}"], ["256", "100", "raise it"]),
        (["lora.targets=conv"], ["lora.targets", "'conv'", "q_proj"]),
        (["optimizer.lr=0"], ["optimizer.lr", "above 0", "got 0"]),
        (["optimizer.lr=1.5"], ["optimizer.lr", "at most 1", "1.5"]),
        (["seed=-1"], ["seed", "at least 0", "-1"]),
        (["seed=4294967296"], ["seed", "4,294,967,295", "4294967296"]),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else None,
)
def test_bad_input_is_one_line_with_exit_code_2_and_no_run(
    rankscope: CommandLine, demo: str, overrides: list[str], words: list[str]
) -> None:
    arguments = [part for override in overrides for part in ("--set", override)]
    done = rankscope("run", demo, *arguments, code=2)
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ")
    for word in words:
        assert word in line
    assert rankscope.answer("runs")["runs"] == []


def test_a_missing_file_is_bad_input(rankscope: CommandLine) -> None:
    (line,) = rankscope("run", "nowhere.yaml", code=2).stderr.splitlines()
    assert "nowhere.yaml" in line
    assert "check the path" in line


def test_an_unreachable_database_is_one_line_without_the_password(tmp_path: Path) -> None:
    url = "postgresql://somebody:hunter2@127.0.0.1:1/none"
    done = CommandLine(tmp_path, DATABASE_URL=url)("runs", code=2)
    (line,) = done.stderr.splitlines()
    assert "DATABASE_URL" in line
    assert "hunter2" not in line


def test_a_folder_named_models_in_the_working_directory_shadows_nothing(
    rankscope: CommandLine, demo: str, tmp_path: Path
) -> None:
    for name in ("models", "tasks", "app", "storage"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise RuntimeError('shadowed')\n")
    done = subprocess.run(
        [sys.executable, "-P", "-m", "rankscope.app", "plan", demo, "--json"],
        cwd=tmp_path,
        env=rankscope.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
