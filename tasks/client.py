"""What the application may ask of the workers; only the processes it starts import torch."""

import json
import signal
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from sqlalchemy import Engine

from rankscope.models.events import OPEN_STATUSES
from rankscope.models.reading import ConfigError
from rankscope.storage.artifacts import RunFolder
from rankscope.storage.runs import (
    START_GRACE_S,
    RunRecord,
    begin_attempt,
    fail_run,
    get_run,
)
from rankscope.storage.settings import Settings
from rankscope.tasks.asking import QueueAway, request_export, resume, stop, wake
from rankscope.tasks.costing import Cost
from rankscope.tasks.fetching import prepare_smol
from rankscope.tasks.learning import Learnt, keep_learned, learn_from_runs
from rankscope.tasks.machine import gpus
from rankscope.tasks.planning import Plan
from rankscope.tasks.processes import JobFailed, TrainingProcess, answer_of, environment
from rankscope.tasks.submitting import MAX_SEEDS, add_run, cost, inventory_of, plan, submit

__all__ = [
    "MAX_SEEDS",
    "Cost",
    "Foreground",
    "JobFailed",
    "Learnt",
    "Plan",
    "QueueAway",
    "add_run",
    "check_training_packages",
    "cost",
    "export",
    "gpus",
    "inventory_of",
    "keep_learned",
    "learn_from_runs",
    "plan",
    "prepare_smol",
    "request_export",
    "resume",
    "stop",
    "submit",
    "wake",
]

TRAINING_PACKAGES = ("torch", "transformers", "peft", "accelerate", "safetensors")
KILL_AFTER_S = 20.0
"""A training process asked to stop finishes its step and saves first; so long is enough."""


def check_training_packages() -> None:
    """Refuse to train where only the parts without torch are installed.

    Raises:
        ConfigError: A package is missing.
    """
    missing = [name for name in TRAINING_PACKAGES if find_spec(name) is None]
    if missing:
        raise ConfigError(
            f"training here needs {', '.join(TRAINING_PACKAGES)}, got no {', '.join(missing)}; "
            "run: pip install 'rankscope[train]'"
        )


class Foreground:
    """A run trained by a process of this command, its output in the run's log file."""

    def __init__(self, engine: Engine, settings: Settings, run_id: str) -> None:
        self._engine = engine
        self._folder = RunFolder(settings, run_id)
        self._run_id = run_id
        self._asked_s: float | None = None
        self._folder.make()
        attempt = begin_attempt(engine, run_id, worker_id=None, lease_s=START_GRACE_S)
        self._process = TrainingProcess.start(
            run_id,
            attempt,
            log=self._folder.log_path,
            environment=environment(get_run(engine, run_id).config),
        )

    def is_alive(self) -> bool:
        """Whether the training process still runs; one that ignores a stop for long is ended."""
        if self._asked_s is not None and time.monotonic() - self._asked_s > KILL_AFTER_S:
            self._process.kill()
        return not self._process.has_ended()

    def outcome(self) -> RunRecord:
        """The run's row once the process has ended; one that died without a word failed it."""
        run = get_run(self._engine, self._run_id)
        if run.status in OPEN_STATUSES:
            fail_run(self._engine, self._run_id, self._how_it_ended())
            run = get_run(self._engine, self._run_id)
        return run

    def stop(self) -> None:
        """Ask for a stop at the next step; asked twice, end it at once."""
        if self._asked_s is None:
            self._asked_s = time.monotonic()
            self._process.ask(signal.SIGTERM)
        else:
            self._process.kill()

    def _how_it_ended(self) -> str:
        log = " ".join(self._folder.log_tail(1)) or "empty log"
        return f"{self._process.how_it_ended()}; resume the run (last log line: {log})"


def export(engine: Engine, run_id: str, to: Path) -> dict[str, Any]:
    """Write a run's result as a plain PEFT adapter and prove that it loads to the same logits.

    Returns:
        What was exported: the answer of :mod:`rankscope.tasks.exporting`.

    Raises:
        JobFailed: Nothing could be exported.
    """
    config = get_run(engine, run_id).config
    answer: dict[str, Any] = json.loads(answer_of("exporting", run_id, str(to), config=config))
    return answer
