"""How live runs stand, for many at once in one short look: the beat of open pages."""

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import Engine, select

from rankscope.storage.tables import Run, Worker

_COLUMNS = (
    Run.status,
    Run.status_reason,
    Run.step,
    Run.num_steps,
    Run.attempt,
    Run.lease_until,
    Run.last_event_id,
    Run.is_held,
    Run.worker_id,
)


class Pulse(NamedTuple):
    """A run's changing columns as JSON, and when its worker was last heard of (epoch s)."""

    run: dict[str, object]
    worker_seen_at: float | None


def pulses(engine: Engine, run_ids: Sequence[str]) -> dict[str, Pulse]:
    """How these runs stand; unknown ones are left out."""
    statement = (
        select(Run.id, *_COLUMNS, Worker.seen_at)
        .outerjoin(Worker, Worker.id == Run.worker_id)
        .where(Run.id.in_(run_ids))
    )
    with engine.connect() as connection:
        rows = connection.execute(statement).all()
    found = {}
    for row in rows:
        run = {column.key: getattr(row, column.key) for column in _COLUMNS}
        lease_until, seen_at = row.lease_until, row.seen_at
        run["lease_until"] = None if lease_until is None else lease_until.timestamp()
        found[row.id] = Pulse(run, None if seen_at is None else seen_at.timestamp())
    return found
