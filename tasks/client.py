"""What the application may ask of the workers; only the processes it starts import torch."""

import json
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from sqlalchemy import Engine

from rankscope.models.config import RunConfig
from rankscope.models.events import OPEN_STATUSES
from rankscope.models.reading import ConfigError
from rankscope.storage.artifacts import RunFolder
from rankscope.storage.evaluations import EvaluationRecord, begin_evaluation, get_evaluation
from rankscope.storage.queue import Claim, end_attempt
from rankscope.storage.runs import (
    START_GRACE_S,
    RunRecord,
    begin_attempt,
    fail_run,
    get_run,
)
from rankscope.storage.settings import Settings
from rankscope.tasks.answers import Answered, Answers, Refused, Working
from rankscope.tasks.asking import QueueAway, request_export, resume, stop, wake
from rankscope.tasks.costing import Cost
from rankscope.tasks.data_preview import DataPreview
from rankscope.tasks.evaluating import Wish, add_evaluation, resume_evaluation, wish_of
from rankscope.tasks.fetching import prepare_pictures, prepare_smol
from rankscope.tasks.jobs import EvaluationJob, RunJob
from rankscope.tasks.learning import Learnt, keep_learned, learn_from_runs
from rankscope.tasks.machine import gpus
from rankscope.tasks.model_lists import ModelLists
from rankscope.tasks.planning import Plan
from rankscope.tasks.processes import STOP, JobFailed, TrainingProcess, answer_of
from rankscope.tasks.submitting import MAX_SEEDS, add_run, cost, inventory_of, plan, submit

__all__ = [
    "MAX_SEEDS",
    "Answered",
    "Answers",
    "Cost",
    "DataPreview",
    "Foreground",
    "ForegroundEvaluation",
    "JobFailed",
    "Learnt",
    "ModelLists",
    "Plan",
    "QueueAway",
    "Refused",
    "Wish",
    "Working",
    "add_evaluation",
    "add_run",
    "check_training_packages",
    "cost",
    "data_request",
    "export",
    "gpus",
    "inventory_of",
    "keep_learned",
    "learn_from_runs",
    "plan",
    "prepare_pictures",
    "prepare_smol",
    "preview_data",
    "request_export",
    "resume",
    "resume_evaluation",
    "stop",
    "submit",
    "wake",
    "wish_of",
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


class _OfThisCommand:
    """A process that this command started and ends with."""

    def __init__(self, process: TrainingProcess) -> None:
        self._process = process
        self._asked_s: float | None = None

    def is_alive(self) -> bool:
        """Whether the process still runs; one that ignores a stop for long is ended."""
        if self._asked_s is not None and time.monotonic() - self._asked_s > KILL_AFTER_S:
            self._process.kill()
        return not self._process.has_ended()

    def stop(self) -> None:
        """Ask it to end soon, all it did saved; asked twice, end it at once."""
        if self._asked_s is None:
            self._asked_s = time.monotonic()
            self._process.ask(STOP)
        else:
            self._process.kill()


class Foreground(_OfThisCommand):
    """A run trained by a process of this command, its output in the run's log file."""

    def __init__(self, engine: Engine, settings: Settings, run_id: str) -> None:
        self._engine = engine
        self._folder = RunFolder(settings, run_id)
        self._run_id = run_id
        attempt = begin_attempt(engine, run_id, worker_id=None, lease_s=START_GRACE_S)
        super().__init__(RunJob(Claim(run_id, attempt)).start(engine, settings, 1))

    def outcome(self) -> RunRecord:
        """The run's row once the process has ended; one that died without a word failed it."""
        run = get_run(self._engine, self._run_id)
        if run.status in OPEN_STATUSES:
            fail_run(self._engine, self._run_id, self._how_it_ended())
            run = get_run(self._engine, self._run_id)
        return run

    def _how_it_ended(self) -> str:
        log = " ".join(self._folder.log_tail(1)) or "empty log"
        return f"{self._process.how_it_ended()}; resume the run (last log line: {log})"


class ForegroundEvaluation(_OfThisCommand):
    """An evaluation by a process of this command, its output in the evaluation's log file."""

    def __init__(self, engine: Engine, settings: Settings, evaluation_id: str) -> None:
        self._engine, self._settings = engine, settings
        attempt = begin_evaluation(engine, evaluation_id, lease_s=START_GRACE_S)
        self._job = EvaluationJob(Claim(evaluation_id, attempt))
        super().__init__(self._job.start(engine, settings, 1))

    def outcome(self) -> EvaluationRecord:
        """The row once the process has ended; one that died without a word failed it."""
        evaluation_id, attempt = self._job.claim
        evaluation = get_evaluation(self._engine, evaluation_id)
        if evaluation.status in OPEN_STATUSES:
            log = " ".join(self._job.log_tail(self._settings, 1)) or "empty log"
            reason = f"{self._process.how_it_ended()}; resume it (last log line: {log})"
            end_attempt(self._engine, evaluation_id, attempt, "failed", reason, self._job.table)
            evaluation = get_evaluation(self._engine, evaluation_id)
        return evaluation


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


def preview_data(config: RunConfig) -> DataPreview:
    """What the config's model would see of its data; a process of its own looks.

    Raises:
        JobFailed: The data cannot be read at all.
    """
    answer = answer_of("previewing", data_request(config), config=config)
    return DataPreview.model_validate_json(answer)


def data_request(config: RunConfig) -> str:
    """What :mod:`rankscope.tasks.previewing` is asked."""
    return config.model_dump_json(include={"model", "data"})
