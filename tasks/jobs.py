"""What a worker carries: runs and evaluations differ in row, process and files."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, Protocol

from sqlalchemy import Engine

from rankscope.models.evaluation import EvaluationConfig, RunSubject
from rankscope.models.vlms import AnyVlm
from rankscope.storage import queue
from rankscope.storage.artifacts import RunFolder
from rankscope.storage.evaluation_folder import EvaluationFolder
from rankscope.storage.evaluations import get_evaluation
from rankscope.storage.queue import Claim
from rankscope.storage.runs import get_run
from rankscope.storage.settings import Settings
from rankscope.storage.supervision import Standing, evaluation_standing, standing
from rankscope.storage.tables import BenchmarkEvaluation, Run
from rankscope.tasks.processes import TrainingProcess, environment, model_environment


class Job(Protocol):
    """One claimed attempt."""

    table: ClassVar[queue.Job]

    @property
    def claim(self) -> Claim:
        """Id and attempt."""
        ...

    def start(self, engine: Engine, settings: Settings, num_jobs: int) -> TrainingProcess:
        """Start its process; so many jobs share this machine's cores.

        Raises:
            StorageError: Its row is of another version.
            OSError: No process could be started.
        """
        ...

    def standing(self, engine: Engine, now: datetime) -> Standing:
        """Whether its process still has something to do."""
        ...

    def log_tail(self, settings: Settings, num_lines: int) -> Sequence[str]:
        """The last lines of its log."""
        ...


@dataclass(frozen=True)
class RunJob:
    """A run to train."""

    table: ClassVar[queue.Job] = Run
    claim: Claim

    def start(self, engine: Engine, settings: Settings, num_jobs: int) -> TrainingProcess:
        """Start the training process."""
        run_id, attempt = self.claim
        config = get_run(engine, run_id).config
        folder = RunFolder(settings, run_id)
        folder.make()
        environ = environment(config, num_jobs=num_jobs)
        return TrainingProcess.start(
            run_id,
            attempt,
            log=folder.log_path,
            environment=environ,
            num_processes=config.training.num_processes,
        )

    def standing(self, engine: Engine, now: datetime) -> Standing:
        """Of its run."""
        return standing(engine, *self.claim, now)

    def log_tail(self, settings: Settings, num_lines: int) -> Sequence[str]:
        """Of the run's log."""
        return RunFolder(settings, self.claim.run_id).log_tail(num_lines)


@dataclass(frozen=True)
class EvaluationJob:
    """A benchmark to ask of a model."""

    table: ClassVar[queue.Job] = BenchmarkEvaluation
    claim: Claim

    def start(self, engine: Engine, settings: Settings, num_jobs: int) -> TrainingProcess:
        """Start the evaluating process."""
        evaluation_id, attempt = self.claim
        model = model_of(engine, get_evaluation(engine, evaluation_id).parsed())
        folder = EvaluationFolder(settings, evaluation_id)
        folder.make()
        is_online = model.kind == "hub"
        return TrainingProcess.start(
            evaluation_id,
            attempt,
            log=folder.log_path,
            environment=model_environment(model, is_online=is_online, num_jobs=num_jobs),
            verb="evaluator",
        )

    def standing(self, engine: Engine, now: datetime) -> Standing:
        """Of its evaluation."""
        return evaluation_standing(engine, *self.claim, now)

    def log_tail(self, settings: Settings, num_lines: int) -> Sequence[str]:
        """Of the evaluation's log."""
        return EvaluationFolder(settings, self.claim.run_id).log_tail(num_lines)


JOBS: tuple[type[RunJob] | type[EvaluationJob], ...] = (RunJob, EvaluationJob)


def claim_job(
    engine: Engine, queues: Sequence[str], *, worker_id: str, lease_s: float
) -> Job | None:
    """Take what is next in the queues, a run or an evaluation; None when nothing waits."""
    while (table := queue.next_job(engine, queues)) is not None:
        claim = queue.claim_next(engine, queues, worker_id=worker_id, lease_s=lease_s, job=table)
        if claim is not None:
            return job_of(table, claim)
    return None


def job_of(table: queue.Job, claim: Claim) -> Job:
    """A claim of one table or the other."""
    return RunJob(claim) if table is Run else EvaluationJob(claim)


def model_of(engine: Engine, config: EvaluationConfig) -> AnyVlm:
    """The base model that an evaluation loads.

    Raises:
        StorageError: Its run is gone, or of another version.
    """
    subject = config.subject
    if isinstance(subject, RunSubject):
        return get_run(engine, subject.run_id).config.model
    return subject.model
