"""What the supervisor of a training process must know about its run; one small read a second."""

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Engine, Select, and_, select

from rankscope.models.events import LIVE_STATUSES
from rankscope.storage.tables import BenchmarkEvaluation, RequestedControl, Run


class Standing(NamedTuple):
    """Where an attempt stands."""

    is_live: bool
    """Whether its process still has something to do; not so once the run ended or was taken."""
    stop_asked_s: float | None
    """Seconds since somebody asked the run to stop, None if nobody did."""


def standing(engine: Engine, run_id: str, attempt: int, now: datetime) -> Standing:
    """Look at one attempt of a run; one that does not exist is not live."""
    is_stop = and_(RequestedControl.run_id == Run.id, RequestedControl.command == "stop")
    statement = (
        select(Run.status, RequestedControl.requested_at)
        .outerjoin(RequestedControl, is_stop)
        .where(Run.id == run_id, Run.attempt == attempt)
    )
    return _standing(engine, statement, now)


def evaluation_standing(
    engine: Engine, evaluation_id: str, attempt: int, now: datetime
) -> Standing:
    """The same for one attempt of an evaluation."""
    table = BenchmarkEvaluation
    statement = select(table.status, table.stop_asked_at).where(
        table.id == evaluation_id, table.attempt == attempt
    )
    return _standing(engine, statement, now)


def _standing(engine: Engine, statement: Select[str, datetime | None], now: datetime) -> Standing:
    with engine.connect() as connection:
        row = connection.execute(statement).one_or_none()
    if row is None or row[0] not in LIVE_STATUSES:
        return Standing(is_live=False, stop_asked_s=None)
    asked_at = row[1]
    asked_s = None if asked_at is None else (now - asked_at).total_seconds()
    return Standing(is_live=True, stop_asked_s=asked_s)
