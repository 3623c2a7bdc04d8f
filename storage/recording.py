"""Write events of one attempt in one fenced transaction; writing them again changes nothing."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, and_, delete, false, func, or_, select, true, update
from sqlalchemy.dialects import postgresql, sqlite

from rankscope.models.events import (
    LIVE_STATUSES,
    OPEN_STATUSES,
    Event,
    Resumed,
    StatusChanged,
    StepDone,
)
from rankscope.storage.errors import FencedOutError
from rankscope.storage.event_rows import Row, Table, rows_of, storable
from rankscope.storage.tables import (
    Artifact,
    Evaluation,
    Metric,
    NumelSample,
    RankChange,
    RecordedDecision,
    RecordedMeasurement,
    RequestedControl,
    Run,
)

_VOIDED = (RankChange, RecordedDecision, RecordedMeasurement, NumelSample, Evaluation)


@dataclass(frozen=True)
class Writer:
    """Who writes: one attempt at one run."""

    run_id: str
    attempt: int
    index_of: dict[str, int]
    """Module name -> place in the run's inventory."""
    lease_s: float


@dataclass(frozen=True)
class NumberedEvent:
    """An event with its id, which grows along the run."""

    id: int
    event: Event


def record(
    connection: Connection, writer: Writer, events: Sequence[NumberedEvent], *, has_ended: bool
) -> None:
    """Write events and progress, renew the lease; without events only the latter.

    Args:
        connection: Within a transaction that the caller commits.
        writer: The attempt that writes.
        events: In the order they happened.
        has_ended: Whether this writer has already recorded the run's end.

    Raises:
        FencedOutError: If a newer attempt began or somebody else closed the run; nothing is
            written.
    """
    _claim(connection, writer, events, has_ended=has_ended)
    pending: list[NumberedEvent] = []
    for numbered in events:
        if isinstance(numbered.event, Resumed):
            _insert(connection, writer, pending)
            pending = []
            _void(connection, writer.run_id, numbered.id, numbered.event)
        else:
            pending.append(numbered)
    _insert(connection, writer, pending)
    if events:
        _settle(connection, writer.run_id, [numbered.event for numbered in events])


def _claim(
    connection: Connection, writer: Writer, events: Sequence[NumberedEvent], *, has_ended: bool
) -> None:
    """Update the run's row if it is still this attempt's; holds the row until the commit."""
    last_id = events[-1].id if events else 0
    # a batch whose commit was lost on the way may come again after it closed the run
    is_repeat = and_(Run.last_event_id >= last_id, Run.last_event_id > 0)
    is_mine = (
        true()
        if has_ended
        else or_(Run.status.in_(LIVE_STATUSES), is_repeat if last_id else false())
    )
    statement = (
        update(Run)
        .where(Run.id == writer.run_id, Run.attempt == writer.attempt, is_mine)
        .values(_progress(writer, [numbered.event for numbered in events], has_ended=has_ended))
    )
    if last_id:
        statement = statement.values(last_event_id=last_id)
    if connection.execute(statement).rowcount != 1:
        raise FencedOutError(
            f"attempt {writer.attempt} must own run {writer.run_id} to write, but a newer attempt "
            "began or the run was closed; stop this process"
        )


def _progress(writer: Writer, events: Sequence[Event], *, has_ended: bool) -> Row:
    values: Row = {}
    if not has_ended:
        values["lease_until"] = datetime.now(UTC) + timedelta(seconds=writer.lease_s)
    for event in events:
        moment = datetime.fromtimestamp(event.time, UTC)
        if isinstance(event, StepDone | Resumed):
            values["step"] = event.step
        elif isinstance(event, StatusChanged):
            values |= {"status": event.status, "status_reason": storable(event.reason)}
            if event.status == "running":
                values["started_at"] = func.coalesce(Run.started_at, moment)
            if event.status not in OPEN_STATUSES:
                values |= {"ended_at": moment, "lease_until": None}
    return values or {"attempt": writer.attempt}


def _insert(connection: Connection, writer: Writer, events: Sequence[NumberedEvent]) -> None:
    rows: dict[Table, list[Row]] = {}
    for numbered in events:
        made = rows_of(numbered.event, numbered.id, writer.index_of)
        if made is not None:
            table, row = made
            rows.setdefault(table, []).append({"run_id": writer.run_id, **row})
    for table, some in rows.items():
        dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
        statement = dialect.insert(table)
        if table in (Metric, Artifact):
            keys = [column.name for column in table.__table__.primary_key]
            replaced = {name: statement.excluded[name] for name in some[0] if name not in keys}
            statement = statement.on_conflict_do_update(index_elements=keys, set_=replaced)
        else:
            statement = statement.on_conflict_do_nothing()
        connection.execute(statement, some)


def _void(connection: Connection, run_id: str, resumed_id: int, event: Resumed) -> None:
    """Delete what was recorded after the checkpoint that training goes on from.

    Events of the checkpoint's own step count as after it if they came after it was saved. Lines for
    people stay.
    """
    after = -1 if event.from_start else event.step
    saved = select(func.max(Artifact.event_id)).where(
        Artifact.run_id == run_id,
        Artifact.kind == "checkpoint",
        Artifact.step == after,
        Artifact.event_id < resumed_id,
    )
    saved_id = connection.execute(saved).scalar_one()
    for table in _VOIDED:
        is_after = table.step > after
        if saved_id is not None:
            is_after = or_(is_after, table.event_id > saved_id)
        before_resumption = table.event_id < resumed_id
        connection.execute(delete(table).where(table.run_id == run_id, before_resumption, is_after))
    connection.execute(delete(Metric).where(Metric.run_id == run_id, Metric.step > after))
    connection.execute(
        delete(Artifact).where(
            Artifact.run_id == run_id, Artifact.kind != "log", Artifact.step > after
        )
    )


def _settle(connection: Connection, run_id: str, events: Sequence[Event]) -> None:
    """What follows from the rows just written: sizes, and at the end the final ones."""
    samples = select(NumelSample.live_params).where(NumelSample.run_id == run_id)
    largest = select(func.max(NumelSample.live_params)).where(NumelSample.run_id == run_id)
    is_this = update(Run).where(Run.id == run_id)
    if any(event.kind in ("params_sampled", "resumed") for event in events):
        connection.execute(is_this.values(max_live_params=largest.scalar_subquery()))
    ends = [event for event in events if isinstance(event, StatusChanged)]
    if ends and ends[-1].status not in OPEN_STATUSES:
        changes = select(RankChange.live_params).where(RankChange.run_id == run_id)
        final = func.coalesce(
            changes.order_by(RankChange.event_id.desc()).limit(1).scalar_subquery(),
            samples.order_by(NumelSample.event_id.desc()).limit(1).scalar_subquery(),
        )
        connection.execute(is_this.values(final_params=final))
        connection.execute(delete(RequestedControl).where(RequestedControl.run_id == run_id))
