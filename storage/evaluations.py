"""An evaluation's row from its making over its attempts to its end, as people ask and look."""

from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError
from sqlalchemy import Engine, and_, func, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from rankscope.models.evaluation import EvaluationConfig, EvaluationStatus, RunSubject
from rankscope.models.events import LIVE_STATUSES, OPEN_STATUSES
from rankscope.storage.choices import EvaluationOrigin
from rankscope.storage.database import writing
from rankscope.storage.ending import end, lease_is_over
from rankscope.storage.errors import (
    OtherVersionError,
    RunRefusedError,
    UnknownEvaluationError,
    no_such_evaluation,
)
from rankscope.storage.ids import new_id
from rankscope.storage.queue import NO_PROCESS
from rankscope.storage.runs import DEFAULT_QUEUE, NORMAL_PRIORITY, START_GRACE_S
from rankscope.storage.tables import BenchmarkEvaluation

_SHOWN_MATCHES = 5
MAX_LISTED = 1_000


class EvaluationRecord(BaseModel):
    """A row, its config still a mapping: another version's can be listed too.

    Args:
        generation_s: Spent on answers, over all attempts.
        score: A ``BenchmarkScore`` without its scores of items, which the answers hold.
    """

    model_config = ConfigDict(frozen=True)

    id: str
    owner: str
    origin: EvaluationOrigin
    run_id: str | None
    title: str
    benchmark: str
    config: dict[str, Any]
    status: EvaluationStatus
    status_reason: str
    priority: int
    queue: str
    attempt: int
    num_requeues: int
    worker_id: str | None
    process_pid: int | None
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    num_items: int
    num_answered: int
    generation_s: float
    items_digest: str
    content_hash: str | None
    versions: dict[str, str] | None
    score: dict[str, Any] | None

    def parsed(self) -> EvaluationConfig:
        """What was asked for.

        Raises:
            OtherVersionError: If an incompatible version asked.
        """
        try:
            return EvaluationConfig.model_validate(self.config)
        except ValidationError as error:
            raise OtherVersionError(
                f"evaluation {self.id} must fit this version's config, it does not "
                f"({error.errors()[0]['msg']}); read it with the version that made it"
            ) from error

    @property
    def eta_s(self) -> float | None:
        """Seconds until all is answered at the mean pace so far; None while nobody knows."""
        if self.status != "running" or not self.num_answered:
            return None
        return (self.num_items - self.num_answered) * self.generation_s / self.num_answered


def create_evaluation(
    engine: Engine,
    config: EvaluationConfig,
    *,
    title: str,
    origin: EvaluationOrigin,
    owner: str,
    num_items: int,
    items_digest: str,
    priority: int = NORMAL_PRIORITY,
    queue: str = DEFAULT_QUEUE,
) -> str:
    """Add an evaluation and return its id.

    Args:
        engine: The database.
        config: What to evaluate.
        title: The model's name for people.
        origin: Who starts it.
        owner: Account or user name.
        num_items: Of the benchmark, read before.
        items_digest: Of the same, as ``digest_of`` gives it.
        priority: 0 is the most urgent.
        queue: Whose workers may take it.
    """
    now, is_queued = datetime.now(UTC), origin == "queue"
    row: dict[str, Any] = {
        "owner": owner,
        "origin": origin,
        "run_id": config.subject.run_id if isinstance(config.subject, RunSubject) else None,
        "title": title,
        "benchmark": config.benchmark.kind,
        "config": config.model_dump(mode="json"),
        "status": "queued" if is_queued else "starting",
        "status_reason": "",
        "priority": priority,
        "position": now.timestamp(),
        "queue": queue,
        "is_held": False,
        "num_requeues": 0,
        "attempt": 0,
        "lease_until": None if is_queued else now + timedelta(seconds=START_GRACE_S),
        "created_at": now,
        "num_items": num_items,
        "num_answered": 0,
        "generation_s": 0.0,
        "items_digest": items_digest,
    }
    while True:
        row["id"] = new_id()
        try:
            with writing(engine) as connection:
                connection.execute(insert(BenchmarkEvaluation).values(row))
        except IntegrityError:
            if not _is_taken(engine, row["id"]):
                raise
        else:
            return str(row["id"])


def get_evaluation(engine: Engine, evaluation_id: str) -> EvaluationRecord:
    """One evaluation by its full id.

    Raises:
        UnknownEvaluationError: If there is none.
    """
    statement = select(BenchmarkEvaluation.__table__).where(BenchmarkEvaluation.id == evaluation_id)
    with engine.connect() as connection:
        row = connection.execute(statement).mappings().one_or_none()
    if row is None:
        raise no_such_evaluation(evaluation_id)
    return EvaluationRecord.model_validate(dict(row))


def list_evaluations(
    engine: Engine, *, run_id: str | None = None, limit: int = MAX_LISTED
) -> list[EvaluationRecord]:
    """Evaluations, the newest first.

    Args:
        engine: The database.
        run_id: Only those of this run.
        limit: At most so many.
    """
    table = BenchmarkEvaluation
    statement = select(table.__table__).order_by(table.created_at.desc(), table.id.desc())
    if run_id is not None:
        statement = statement.where(table.run_id == run_id)
    with engine.connect() as connection:
        rows = connection.execute(statement.limit(limit)).mappings()
        return [EvaluationRecord.model_validate(dict(row)) for row in rows]


def resolve_evaluation(engine: Engine, prefix: str) -> str:
    """The full id of the only evaluation whose id begins with ``prefix``.

    Raises:
        UnknownEvaluationError: If there is none, or more than one.
    """
    start = prefix.strip().lower()
    begins = BenchmarkEvaluation.id.startswith(start, autoescape=True)
    statement = select(BenchmarkEvaluation.id).where(begins).order_by(BenchmarkEvaluation.id)
    with engine.connect() as connection:
        rows = connection.execute(statement.limit(_SHOWN_MATCHES + 1)).scalars()
        found = list(rows) if start else []
    if start in found or len(found) == 1:
        return found[0]
    if not found:
        raise no_such_evaluation(prefix)
    raise UnknownEvaluationError(
        f"the beginning of an id must fit one evaluation, {prefix!r} fits "
        f"{', '.join(found[:_SHOWN_MATCHES])}; give more of it"
    )


def begin_evaluation(engine: Engine, evaluation_id: str, *, lease_s: float) -> int:
    """Begin an attempt outside the queue; older ones are fenced out. Returns its number.

    Raises:
        RunRefusedError: If it is live elsewhere, waits in the queue, or is done.
        UnknownEvaluationError: If there is none.
    """
    table, now = BenchmarkEvaluation, datetime.now(UTC)
    can_begin = or_(
        and_(table.attempt == 0, table.status == "starting"),
        table.status.not_in(OPEN_STATUSES | {"done"}),
        and_(table.status.in_(LIVE_STATUSES), lease_is_over(now, table)),
    )
    values = {
        "attempt": table.attempt + 1,
        "origin": "foreground",
        "status": "starting",
        "status_reason": "",
        "stop_asked_at": None,
        "worker_id": None,
        "lease_until": now + timedelta(seconds=lease_s),
        "ended_at": None,
    }
    statement = update(table).where(table.id == evaluation_id, can_begin).values(values)
    with writing(engine) as connection:
        attempt = connection.execute(statement.returning(table.attempt)).scalar_one_or_none()
    if attempt is not None:
        return attempt
    status = get_evaluation(engine, evaluation_id).status
    raise RunRefusedError(
        f"an evaluation must have ended, but not as done, to go on here, got {evaluation_id} "
        f"which is {status}; start a new one, or stop it first"
    )


def stop_evaluation(engine: Engine, evaluation_id: str) -> EvaluationStatus:
    """Stop a waiting evaluation at once, or ask a live one to stop.

    Returns:
        Its status now.

    Raises:
        UnknownEvaluationError: If there is none.
        RunRefusedError: If it has ended.
    """
    table = BenchmarkEvaluation
    is_waiting = and_(table.id == evaluation_id, table.status == "queued")
    is_live = and_(table.id == evaluation_id, table.status.in_(LIVE_STATUSES))
    asked_at = func.coalesce(table.stop_asked_at, datetime.now(UTC))
    with writing(engine) as connection:
        if end(connection, is_waiting, "stopped", "stopped while it waited in the queue", table):
            return "stopped"
        asked = update(table).where(is_live).values(stop_asked_at=asked_at)
        is_asked = connection.execute(asked).rowcount == 1
    status = get_evaluation(engine, evaluation_id).status
    if not is_asked:
        raise RunRefusedError(
            f"only an evaluation that has not ended can be stopped, got {evaluation_id} which is "
            f"{status}; see the live ones with: rankscope evals"
        )
    return status


def requeue_ended_evaluation(engine: Engine, evaluation_id: str) -> None:
    """Put an evaluation that ended without being done at the end of the queue.

    What was answered stays, so that only the rest is asked.

    Raises:
        UnknownEvaluationError: If there is none.
        RunRefusedError: If it is done or has not ended.
    """
    table = BenchmarkEvaluation
    values: dict[str, Any] = {
        "origin": "queue",
        "status": "queued",
        "status_reason": "",
        "stop_asked_at": None,
        "position": datetime.now(UTC).timestamp(),
        "num_requeues": 0,
        "ended_at": None,
        "lease_until": None,
        "worker_id": None,
        **NO_PROCESS,
    }
    has_ended = and_(table.id == evaluation_id, table.status.in_(("stopped", "failed")))
    with writing(engine) as connection:
        if connection.execute(update(table).where(has_ended).values(values)).rowcount == 1:
            return
    status = get_evaluation(engine, evaluation_id).status
    raise RunRefusedError(
        f"only an evaluation that was stopped or failed can go on, got {evaluation_id} which is "
        f"{status}; start a new one, or stop it first"
    )


def _is_taken(engine: Engine, evaluation_id: str) -> bool:
    statement = select(BenchmarkEvaluation.id).where(BenchmarkEvaluation.id == evaluation_id)
    with engine.connect() as connection:
        return connection.execute(statement).first() is not None
