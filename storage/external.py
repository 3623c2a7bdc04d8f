"""Runs that somebody's own script trains: opened, and told of event by event, from elsewhere.

What comes is recorded by the same functions as a run of ours and shown in the same live tail. Who
sends may send a batch again, or speak again after it was taken for lost: nothing is recorded twice.
"""

import time
from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import structlog
from sqlalchemy import Connection, Engine, Row, select, update

from rankscope.models.events import OPEN_STATUSES, Event, RunStatus
from rankscope.models.external import ExternalRun, is_external
from rankscope.models.inventory import Inventory
from rankscope.storage.choices import Control
from rankscope.storage.control import take_control
from rankscope.storage.database import writing
from rankscope.storage.errors import FencedOutError, RunRefusedError, no_such_run
from rankscope.storage.event_checks import check_events, check_inventory
from rankscope.storage.ids import event_id
from rankscope.storage.live import wire_text
from rankscope.storage.packing import unpack_json
from rankscope.storage.queue import status_of
from rankscope.storage.recording import NumberedEvent, Writer, record
from rankscope.storage.runs import begin_attempt, create_run, get_run, set_inventory
from rankscope.storage.settings import Settings
from rankscope.storage.tables import Run

if TYPE_CHECKING:
    from rankscope.storage.stream import Stream

log = structlog.get_logger()

LEASE_S = 60.0
"""A script whose machine sleeps or whose network fails for longer is shown as lost until it speaks
again."""
_STREAM_TIMEOUT_S = 0.5
_STREAM_REST_S = 5.0
"""A live tail that was away is left alone for so long: the sender waits for every answer."""


class Opened(NamedTuple):
    """A run that may be told of; ``last`` is the number of the last event recorded, 0 for none."""

    run_id: str
    attempt: int
    last: int
    lease_s: float


class Received(NamedTuple):
    """Where a run stands after a batch, and what people have asked of it meanwhile."""

    last: int
    status: RunStatus
    requests: frozenset[Control]


class ExternalRuns:
    """The one door for runs of other people's scripts; any number of threads may use it.

    Args:
        engine: The database, which is the truth.
        settings: Where the live tail is; None where nobody watches.
    """

    def __init__(self, engine: Engine, settings: Settings | None) -> None:
        self._engine = engine
        self._stream = _stream(settings) if settings else None
        self._stream_rests_until = 0.0
        self._index_of = lru_cache(maxsize=64)(self._read_index)

    def open(
        self,
        described: ExternalRun,
        inventory: Inventory,
        *,
        owner: str,
        key: str,
        other_trainable_params: int = 0,
    ) -> Opened:
        """Add a run and begin its only attempt; the same key always opens the same run.

        Raises:
            ConfigError: If the inventory cannot be kept.
            RunRefusedError: If the key belongs to a run that says something else of itself.
        """
        check_inventory(inventory)
        run_id = create_run(
            self._engine, described, origin="external", owner=owner, idempotency_key=key
        )
        set_inventory(
            self._engine,
            run_id,
            inventory,
            budget_params=described.budget.value,
            other_trainable_params=other_trainable_params,
        )
        run = get_run(self._engine, run_id)
        attempt = run.attempt or begin_attempt(
            self._engine, run_id, worker_id=None, lease_s=LEASE_S
        )
        return Opened(run_id, attempt, _number(run.last_event_id, attempt), LEASE_S)

    def owner(self, run_id: str) -> str:
        """Who may tell of a run.

        Raises:
            UnknownRunError: If there is no such run.
            RunRefusedError: If it is one that Rankscope trains.
        """
        statement = select(Run.owner, Run.config).where(Run.id == run_id)
        with self._engine.connect() as connection:
            row = connection.execute(statement).one_or_none()
        if row is None:
            raise no_such_run(run_id)
        if not is_external(row.config):
            raise RunRefusedError(
                f"only a run of somebody's own script is told of from outside, {run_id} is "
                "trained by Rankscope; open one of your own"
            )
        return str(row.owner)

    def receive(self, run_id: str, attempt: int, first: int, events: Sequence[Event]) -> Received:
        """Record events numbered from ``first`` on; those known already are passed over.

        Without events it is a sign of life. A run that was taken for lost lives again.

        Raises:
            ConfigError: If an event says what cannot be of this run.
            FencedOutError: If the run has ended, or somebody else tells of it.
            RunRefusedError: If events are missing before ``first``.
            UnknownRunError: If there is no such run.
        """
        index_of = self._index_of(run_id)
        check_events(events, index_of)
        numbered = [
            NumberedEvent(event_id(attempt, first + place), event)
            for place, event in enumerate(events)
        ]
        with writing(self._engine) as connection:
            row = _locked(connection, run_id)
            fresh = _fresh(row, run_id, attempt, first, numbered)
            if row.status == "lost":
                _revive(connection, run_id, "running" if row.started_at else "starting")
            if row.status in OPEN_STATUSES | {"lost"}:
                writer = Writer(run_id, attempt, index_of, LEASE_S)
                record(connection, writer, fresh, has_ended=False)
            status = status_of(connection, run_id)
        self._show(run_id, fresh, index_of)
        last = _number(row.last_event_id, attempt) + len(fresh)
        return Received(last, status, take_control(self._engine, run_id, attempt))

    def close(self) -> None:
        """Hang up the live tail."""
        if self._stream is not None:
            self._stream.close()

    def _read_index(self, run_id: str) -> dict[str, int]:
        """Module -> place in the run's inventory, which never changes."""
        with self._engine.connect() as connection:
            packed = connection.execute(select(Run.inventory).where(Run.id == run_id)).scalar()
        if packed is None:
            raise no_such_run(run_id)
        modules = Inventory.model_validate_json(unpack_json(packed)).modules
        return {module.name: index for index, module in enumerate(modules)}

    def _show(self, run_id: str, events: Sequence[NumberedEvent], index_of: dict[str, int]) -> None:
        """Append to the live tail if it answers; its readers notice what is missing."""
        if self._stream is None or not events or time.monotonic() < self._stream_rests_until:
            return
        from rankscope.storage.stream import AWAY, Entry

        entries = [Entry(one.id, wire_text(one.event, one.id, index_of)) for one in events]
        try:
            self._stream.append(run_id, entries)
        except AWAY as error:
            self._stream_rests_until = time.monotonic() + _STREAM_REST_S
            log.warning("live tail away", run=run_id, reason=" ".join(str(error).split()))


def _stream(settings: Settings) -> "Stream | None":
    try:
        from rankscope.storage.stream import Stream
    except ModuleNotFoundError:
        return None  # who has no Redis client has no live tail
    return Stream(settings.live_url, timeout_s=_STREAM_TIMEOUT_S)


def _locked(connection: Connection, run_id: str) -> Row[int, str, int, datetime | None]:
    """Where a run stands; held until the commit, so that of two batches one comes first."""
    columns = select(Run.attempt, Run.status, Run.last_event_id, Run.started_at)
    row = connection.execute(columns.where(Run.id == run_id).with_for_update()).one_or_none()
    if row is None:
        raise no_such_run(run_id)
    return row


def _fresh(
    row: Row[int, str, int, datetime | None],
    run_id: str,
    attempt: int,
    first: int,
    numbered: Sequence[NumberedEvent],
) -> Sequence[NumberedEvent]:
    """The events that are not recorded yet; refuses a gap and whoever may not write."""
    if row.attempt != attempt:
        raise FencedOutError(
            f"attempt {attempt} must own run {run_id} to write, it is at attempt {row.attempt}; "
            "open the run first"
        )
    last = _number(row.last_event_id, attempt)
    if first > last + 1:
        raise RunRefusedError(
            f"events must follow the last one recorded, which is {last}, got some from {first} on; "
            f"send them from {last + 1} on"
        )
    fresh = numbered[last + 1 - first :]
    if fresh and row.status not in OPEN_STATUSES | {"lost"}:
        raise FencedOutError(
            f"only a run that has not ended is told of, got {run_id} which is {row.status}; "
            "open a new one"
        )
    return fresh


def _revive(connection: Connection, run_id: str, status: RunStatus) -> None:
    values = {"status": status, "status_reason": "", "ended_at": None, "final_params": None}
    connection.execute(update(Run).where(Run.id == run_id).values(values))


def _number(last_event_id: int, attempt: int) -> int:
    """Number of the last event within an attempt."""
    return last_event_id - event_id(attempt, 0) if last_event_id else 0
