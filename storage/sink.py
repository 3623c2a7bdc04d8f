"""What a training run says goes here: queued in no time, written in batches by one thread.

Given a stream, a second thread shows the same events live; the two know nothing of each other.

At a crash of the process at most the last ``flush_s`` seconds of events are lost, and those the
database was not there to take. Everything else is in the database, in order, once.
"""

import threading
import time
from datetime import UTC, datetime
from types import TracebackType
from typing import TYPE_CHECKING

import structlog
from sqlalchemy import Engine, update
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from rankscope.models.events import LIVE_STATUSES, OPEN_STATUSES, Event, StatusChanged
from rankscope.models.inventory import Inventory
from rankscope.storage.choices import Control
from rankscope.storage.control import take_control
from rankscope.storage.database import is_transient, unreachable, writing
from rankscope.storage.errors import FencedOutError, StorageError, WriteFailedError
from rankscope.storage.ids import event_id
from rankscope.storage.recording import NumberedEvent, Writer, record
from rankscope.storage.tables import Run

if TYPE_CHECKING:
    from rankscope.storage.stream import Stream

log = structlog.get_logger()

MAX_WAITING_EVENTS = 1_000_000
"""About 1 GB; a database that is away for longer than that many events is taken for lost."""
_LARGEST_BATCH = 5_000
_LAST_CALL_S = 10.0
"""A database call under way when time is up may still end by itself."""
_FIRST_RETRY_S, _LONGEST_RETRY_S = 0.05, 2.0


class Sink:
    """Records one attempt at one run.

    ``emit`` may be called from any thread and never waits for the database. A database that is
    locked or away is tried again while events wait in memory; what waiting cannot mend becomes
    ``failure``, which the training loop looks at between steps, and later events are dropped.

    Args:
        engine: The database.
        run_id: The run.
        attempt: As ``begin_attempt`` gave it; once a newer one begins, every write is refused.
        inventory: The run's modules, in whose order rank changes are packed.
        flush_s: Seconds between transactions.
        lease_s: Seconds without a word after which others may take the run over.
        stream: Where the events are shown live; without it the database is all there is.
    """

    def __init__(
        self,
        engine: Engine,
        run_id: str,
        attempt: int,
        inventory: Inventory | None,
        *,
        flush_s: float = 0.5,
        lease_s: float = 30.0,
        stream: "Stream | None" = None,
    ) -> None:
        modules = inventory.modules if inventory else ()
        index_of = {module.name: index for index, module in enumerate(modules)}
        self._engine = engine
        self._writer = Writer(run_id, attempt, index_of, lease_s)
        self._flush_s = flush_s
        self._changed = threading.Condition()  # guards the seven fields below
        self._incoming: list[NumberedEvent] = []
        self._requests: set[Control] = set()
        self._num_emitted = 0
        self._num_written = 0
        self._failure: StorageError | None = None
        self._is_hurried = False
        self._closes_at: float | None = None
        # the emitter thread's own
        self._waiting: list[NumberedEvent] = []
        self._retry_s = 0.0
        self._renewed_at = 0.0
        self._has_ended = False
        self._publisher = None
        if stream is not None:
            # who has no Redis client has no stream
            from rankscope.storage.publishing import Publisher

            self._publisher = Publisher(stream, run_id, index_of, self._hurry)
        self._thread = threading.Thread(target=self._work, name=f"sink-{run_id}", daemon=True)
        self._thread.start()

    def emit(self, event: Event) -> None:
        """Take an event; a few microseconds, whatever the database does."""
        with self._changed:
            if self._closes_at is not None:
                raise RuntimeError("a closed sink takes no events; emit before close()")
            if self._failure is None:
                self._num_emitted += 1
                number = event_id(self._writer.attempt, self._num_emitted)
                numbered = NumberedEvent(number, event)
                self._incoming.append(numbered)
                if self._publisher is not None:
                    self._publisher.offer(numbered)

    @property
    def failure(self) -> StorageError | None:
        """Why nothing more is recorded, or None while all is well."""
        return self._failure

    def take_request(self) -> Control | None:
        """What somebody asked of the run since the last call, ``stop`` before ``checkpoint``."""
        with self._changed:
            for request in ("stop", "checkpoint"):
                if request in self._requests:
                    self._requests.discard(request)
                    return request
        return None

    def flush(self, timeout_s: float = 60.0) -> None:
        """Wait until all that was emitted before is in the database.

        Raises:
            StorageError: If it cannot be written, or not within ``timeout_s``.
        """
        with self._changed:
            target = self._num_emitted
            self._is_hurried = True
            self._changed.notify_all()
            self._changed.wait_for(
                lambda: self._num_written >= target or self._failure is not None, timeout_s
            )
            if self._failure is not None:
                raise self._failure
            if self._num_written < target:
                raise _too_late(timeout_s, target - self._num_written)

    def close(self, timeout_s: float = 60.0) -> None:
        """Write all that waits and end the thread; closing twice is closing once.

        Raises:
            StorageError: If not everything could be written within ``timeout_s``.
        """
        with self._changed:
            if self._closes_at is None:
                self._closes_at = time.monotonic() + timeout_s
            self._is_hurried = True
            self._changed.notify_all()
        if self._publisher is not None:
            self._publisher.close()
        self._thread.join(timeout_s + _LAST_CALL_S)
        if self._thread.is_alive():
            raise _too_late(timeout_s, self._num_emitted - self._num_written)
        if self._failure is not None:
            raise self._failure

    def __enter__(self) -> "Sink":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    # --- the emitter thread -------------------------------------------------------------------

    def _work(self) -> None:
        while self._failure is None:
            is_closing = self._take_incoming()
            try:
                self._write_waiting()
                if not is_closing:
                    self._poll_requests()
                self._retry_s = 0.0
            except DBAPIError as error:
                self._retry_or_fail(error, can_wait=is_transient(error))
            except PoolTimeoutError as error:
                self._retry_or_fail(error, can_wait=True)
            except StorageError as error:
                self._fail(error)
            except Exception as error:  # noqa: BLE001 - a thread that dies in silence would lose events
                self._fail(_refused(error))
            if is_closing and not self._waiting:
                return

    def _take_incoming(self) -> bool:
        """Wait for the next round, take what came in; returns whether the sink is closing."""
        with self._changed:
            pause_s = self._retry_s or self._flush_s
            self._changed.wait_for(lambda: self._is_hurried, pause_s)
            self._is_hurried = False
            incoming, self._incoming = self._incoming, []
            is_closing = self._closes_at is not None
        self._waiting += incoming
        return is_closing

    def _hurry(self) -> None:
        """Somebody asked for something: end the pause before the next round."""
        with self._changed:
            self._is_hurried = True
            self._changed.notify_all()

    def _write_waiting(self) -> None:
        is_due = time.monotonic() - self._renewed_at >= self._writer.lease_s / 3
        while self._waiting or is_due:
            batch = self._waiting[:_LARGEST_BATCH]
            started = time.monotonic()
            with writing(self._engine) as connection:
                record(connection, self._writer, batch, has_ended=self._has_ended)
            self._renewed_at, is_due = started, False
            del self._waiting[: len(batch)]
            for numbered in batch:
                if isinstance(numbered.event, StatusChanged):
                    self._has_ended = numbered.event.status not in OPEN_STATUSES
            with self._changed:
                self._num_written += len(batch)
                self._changed.notify_all()

    def _poll_requests(self) -> None:
        requests = take_control(self._engine, self._writer.run_id, self._writer.attempt)
        if requests:
            with self._changed:
                self._requests |= requests

    def _retry_or_fail(self, error: SQLAlchemyError, *, can_wait: bool) -> None:
        url = self._engine.url
        if not can_wait:
            self._fail(unreachable(url, error))
        elif len(self._waiting) > MAX_WAITING_EVENTS:
            self._fail(_too_late(0, len(self._waiting)))
        elif self._closes_at is not None and time.monotonic() > self._closes_at:
            self._fail(unreachable(url, error))
        else:
            self._retry_s = min(max(2 * self._retry_s, _FIRST_RETRY_S), _LONGEST_RETRY_S)
            log.warning("database away", retry_in_s=self._retry_s, waiting=len(self._waiting))

    def _fail(self, error: StorageError) -> None:
        log.error("recording stopped", reason=str(error), waiting=len(self._waiting))
        if self._publisher is not None:
            self._publisher.abandon()
        if not isinstance(error, FencedOutError):
            self._try_to_say_so(str(error))
        with self._changed:
            self._failure = error
            self._incoming.clear()
            self._changed.notify_all()

    def _try_to_say_so(self, reason: str) -> None:
        """A small write may still fit where a batch did not."""
        statement = (
            update(Run)
            .where(
                Run.id == self._writer.run_id,
                Run.attempt == self._writer.attempt,
                Run.status.in_(LIVE_STATUSES),
            )
            .values(
                status="failed",
                status_reason=reason,
                ended_at=datetime.now(UTC),
                lease_until=None,
            )
        )
        try:
            with writing(self._engine) as connection:
                connection.execute(statement)
        except SQLAlchemyError as error:
            log.warning("the run's failure could not be recorded", reason=str(error))


def _too_late(timeout_s: float, num_waiting: int) -> WriteFailedError:
    return WriteFailedError(
        f"events must reach the database within {timeout_s:g} s, {num_waiting} still wait; "
        "look after the database, then resume the run"
    )


def _refused(error: Exception) -> WriteFailedError:
    return WriteFailedError(
        f"what a run says must fit the tables, got {type(error).__name__} ({error}); "
        "this is a defect of Rankscope, please report it"
    )
