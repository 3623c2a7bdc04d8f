"""One run in several processes: the same run, whoever computes it, and a loss that is told."""

import contextlib
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
from sqlalchemy import select

from rankscope.storage import history
from rankscope.storage.database import migrate, open_database
from rankscope.storage.runs import get_run
from rankscope.storage.settings import Settings
from rankscope.storage.tables import Run
from rankscope.tasks.checkpoints import list_checkpoints, read_checkpoint
from tests.helpers.command import CommandLine

CONFIG = """
seed: 3
data: {kind: easy_vqa}
scheduler:
  {kind: hydra, first_event_fraction: 0.2, event_interval_fraction: 0.2, freeze_fraction: 0.9,
  layer_prior_sd: 1.5, type_prior_sd: 1.0, knock_out_log_sd: 0.3,
  caution_sds: 0, min_gain_fraction: 0, max_move_fraction: 0.5}
budget: {unit: rank, value: 2}
training: {steps: 30, batch_size: 8, accumulation_steps: 2, num_processes: 2}
evaluation: {every_steps: 10, validation_items: 16, test_items: 32, shuffled_images: false}
checkpoint: {every_s: 3600}
"""
"""Hydra without caution: ranks move at every event."""
PATIENCE_S = 60


class Lab:
    """Runs of one configuration in a home of their own."""

    def __init__(self, folder: Path) -> None:
        self.rankscope = CommandLine(folder)
        self._folder = folder
        self._config = folder / "run.yaml"
        self._config.write_text(CONFIG, encoding="utf-8")
        self._engine = open_database(Settings(rankscope_home=folder).database_url)
        migrate(self._engine)

    def run(self, *more: str) -> dict[str, Any]:
        return self.rankscope.answer("run", str(self._config), *more)

    def start(self, *more: str) -> "subprocess.Popen[str]":
        return self.rankscope.start("run", str(self._config), "--json", *more)

    def ids(self) -> set[str]:
        with self._engine.connect() as connection:
            return set(connection.scalars(select(Run.id)))

    def training(self, *, after_step: int, not_in: set[str]) -> str:
        """The run that is new, once it has trained so many steps."""
        deadline_s = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline_s:
            for run in self.ids() - not_in:
                if len(self.losses(run)) >= after_step:
                    return run
            time.sleep(0.1)
        raise AssertionError("no step was recorded")

    def losses(self, run: str) -> list[float]:
        return [float(loss) for loss in history.metrics(self._engine, run)["loss"]]

    def moves(self, run: str) -> list[dict[str, int]]:
        steps = sorted(set(history.rank_changes(self._engine, run)["step"]))
        return [history.rank_map(self._engine, run, step) for step in steps]

    def end(self, run: str) -> dict[str, torch.Tensor]:
        folder = self._folder / "runs" / run / "checkpoints"
        config_hash = get_run(self._engine, run).config.hash()
        return read_checkpoint(list_checkpoints(folder)[-1], config_hash)[1]

    def reason(self, run: str) -> str:
        return get_run(self._engine, run).status_reason

    def log(self, run: str) -> str:
        return (self._folder / "runs" / run / "log.txt").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    return Lab(tmp_path_factory.mktemp("several"))


@pytest.fixture(scope="module")
def shared(lab: Lab) -> str:
    return str(lab.run()["run"])


def processes_of(run: str) -> dict[int, psutil.Process]:
    """By their numbers, as torchrun gave them."""
    found = {}
    for process in psutil.process_iter(["cmdline"]):
        if run in (process.info["cmdline"] or []):
            with contextlib.suppress(psutil.Error, KeyError):  # torchrun itself has no number
                found[int(process.environ()["RANK"])] = process
    return found


def test_two_processes_train_the_run_that_one_trains(lab: Lab, shared: str) -> None:
    """Up to rounding: gradients are summed in another order."""
    together, alone = shared, str(lab.run("--set", "training.num_processes=1")["run"])
    assert "2 processes share every batch" in lab.log(together)
    assert lab.losses(together) == pytest.approx(lab.losses(alone), rel=1e-3)
    assert lab.moves(together) == lab.moves(alone)
    assert len(lab.moves(alone)) > 2
    expected = lab.end(alone)
    for name, tensor in lab.end(together).items():
        if name.startswith("tuning/"):
            torch.testing.assert_close(tensor, expected[name], rtol=1e-2, atol=1e-4)


def test_a_run_stopped_and_resumed_ends_bitwise_as_if_never_stopped(lab: Lab, shared: str) -> None:
    before, process = lab.ids(), lab.start()
    run = lab.training(after_step=2, not_in=before)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=PATIENCE_S)
    stopped_at = len(lab.losses(run))
    assert 2 <= stopped_at < 30
    assert lab.rankscope.answer("resume", run)["status"] == "done"
    assert lab.losses(run) == lab.losses(shared)
    expected = lab.end(shared)
    for name, tensor in lab.end(run).items():
        assert torch.equal(tensor, expected[name]), name


def test_the_loss_of_a_process_fails_the_run_in_words(lab: Lab) -> None:
    before, process = lab.ids(), lab.start("--set", "training.steps=100000")
    run = lab.training(after_step=1, not_in=before)
    processes_of(run)[1].kill()
    process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 1
    assert "one was lost; its last words are in the run's log" in lab.reason(run)
    assert not processes_of(run)
