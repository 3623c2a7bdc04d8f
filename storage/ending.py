"""Close a run from outside, where its trainer cannot do so any more."""

from datetime import UTC, datetime

from sqlalchemy import ColumnElement, Connection, Engine, and_, delete, or_, update

from rankscope.models.events import OPEN_STATUSES, RunStatus
from rankscope.storage.database import writing
from rankscope.storage.tables import RequestedControl, Run


def fail_run(engine: Engine, run_id: str, reason: str) -> bool:
    """Close a run whose trainer died without a word; returns False when it had ended already.

    The dead attempt, should it come back, is refused from here on.
    """
    is_open = and_(Run.id == run_id, Run.status.in_(OPEN_STATUSES))
    with writing(engine) as connection:
        return bool(end(connection, is_open, "failed", reason))


def fail_abandoned_foreground_runs(engine: Engine, now: datetime) -> list[str]:
    """Close the open foreground runs whose lease has expired, and return their ids.

    Runs of the queue are requeued by the reaper instead, external ones become ``lost``.
    """
    is_open = and_(Run.origin == "foreground", Run.status.in_(OPEN_STATUSES))
    reason = "its process ended without a word: the lease expired; see the log, then resume the run"
    with writing(engine) as connection:
        return end(connection, and_(is_open, lease_is_over(now)), "failed", reason)


def end(
    connection: Connection, which: ColumnElement[bool], status: RunStatus, reason: str
) -> list[str]:
    """Close the runs of a ``where`` within the caller's transaction; returns their ids."""
    values = {
        "status": status,
        "status_reason": reason,
        "ended_at": datetime.now(UTC),
        "lease_until": None,
    }
    statement = update(Run).where(which).values(values).returning(Run.id)
    ended = list(connection.execute(statement).scalars())
    connection.execute(delete(RequestedControl).where(RequestedControl.run_id.in_(ended)))
    return ended


def lease_is_over(now: datetime) -> ColumnElement[bool]:
    """A row whose process may be taken for dead, in a ``where``."""
    return or_(Run.lease_until.is_(None), Run.lease_until < now)
