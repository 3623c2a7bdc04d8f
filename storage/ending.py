"""Close a run from outside, where its trainer cannot do so any more."""

from datetime import UTC, datetime

from sqlalchemy import ColumnElement, Connection, Engine, and_, delete, or_, update

from rankscope.models.events import OPEN_STATUSES, RunStatus
from rankscope.storage.database import writing
from rankscope.storage.tables import BenchmarkEvaluation, RequestedControl, Run

Closed = type[Run] | type[BenchmarkEvaluation]


def fail_run(engine: Engine, run_id: str, reason: str) -> bool:
    """Close a run whose trainer died without a word; returns False when it had ended already.

    The dead attempt, should it come back, is refused from here on.
    """
    is_open = and_(Run.id == run_id, Run.status.in_(OPEN_STATUSES))
    with writing(engine) as connection:
        return bool(end(connection, is_open, "failed", reason))


def fail_abandoned_foreground_runs(engine: Engine, now: datetime, job: Closed = Run) -> list[str]:
    """Close the open foreground runs, or evaluations, whose lease has expired; returns their ids.

    Runs of the queue are requeued by the reaper instead, external ones become ``lost``.
    """
    is_open = and_(job.origin == "foreground", job.status.in_(OPEN_STATUSES))
    what = "run" if job is Run else "evaluation"
    reason = (
        f"its process ended without a word: the lease expired; see the log, then resume the {what}"
    )
    with writing(engine) as connection:
        return end(connection, and_(is_open, lease_is_over(now, job)), "failed", reason, job)


def end(
    connection: Connection,
    which: ColumnElement[bool],
    status: RunStatus,
    reason: str,
    job: Closed = Run,
) -> list[str]:
    """Close what a ``where`` finds within the caller's transaction; returns the ids."""
    values = {
        "status": status,
        "status_reason": reason,
        "ended_at": datetime.now(UTC),
        "lease_until": None,
    }
    statement = update(job).where(which).values(values).returning(job.id)
    ended = list(connection.execute(statement).scalars())
    if job is Run:
        connection.execute(delete(RequestedControl).where(RequestedControl.run_id.in_(ended)))
    return ended


def lease_is_over(now: datetime, job: Closed = Run) -> ColumnElement[bool]:
    """A row whose process may be taken for dead, in a ``where``."""
    return or_(job.lease_until.is_(None), job.lease_until < now)
