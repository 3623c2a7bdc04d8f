"""Carries what a run says to its live tail, beside the sink and never in its way."""

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping

import structlog

from rankscope.storage.live import wire_text
from rankscope.storage.recording import NumberedEvent
from rankscope.storage.stream import AWAY, MAX_ENTRIES, Entry, Stream

log = structlog.get_logger()

PUBLISH_S = 0.05
"""Between two round trips while events come; a browser draws no faster than ten times a second."""
_HINT_S = 0.1
"""Between two looks at the control hint while nothing happens."""
_FIRST_RETRY_S, _LONGEST_RETRY_S = 0.1, 5.0
_LARGEST_BATCH = 500


class Publisher:
    """One thread that appends a run's events to its stream and looks at the control hint.

    With Redis away, events wait up to as many as the stream would keep; older ones are left out of
    the tail, which its readers notice. Nothing here slows who offers, and the database misses
    nothing.

    Args:
        stream: Where to; closed at the end.
        run_id: The run.
        index_of: Module name -> place in the run's inventory.
        on_hint: Called in this thread when somebody has poked the run.
    """

    def __init__(
        self,
        stream: Stream,
        run_id: str,
        index_of: Mapping[str, int],
        on_hint: Callable[[], None],
    ) -> None:
        self._stream = stream
        self._run_id = run_id
        self._index_of = index_of
        self._on_hint = on_hint
        self._offered: deque[NumberedEvent] = deque(maxlen=MAX_ENTRIES)
        self._closing = threading.Event()
        self._is_wanted = True
        # the thread's own
        self._unsent: deque[Entry] = deque(maxlen=MAX_ENTRIES)
        self._hint: bytes | None = None
        self._was_reached = False
        self._retry_s = 0.0
        self._thread = threading.Thread(target=self._work, name=f"tail-{run_id}", daemon=True)
        self._thread.start()

    def offer(self, event: NumberedEvent) -> None:
        """Take an event; to be called in the order of their ids."""
        self._offered.append(event)

    def close(self, timeout_s: float = 2.0) -> None:
        """Send what waits, if Redis takes it within the time, and end the thread."""
        self._closing.set()
        self._thread.join(timeout_s)

    def abandon(self) -> None:
        """End without sending more: what the run says is no longer recorded."""
        self._is_wanted = False
        self._closing.set()

    def _work(self) -> None:
        looked_at_s = 0.0
        is_closing = False
        while not is_closing:
            is_closing = self._closing.wait(self._retry_s or PUBLISH_S)
            now_s = time.monotonic()
            is_due = self._offered or self._unsent or now_s - looked_at_s >= _HINT_S
            if is_due and self._is_wanted:
                looked_at_s = now_s
                try:
                    self._send()
                except AWAY as error:
                    self._back_off(error)
                except Exception:  # a defect here must not look like a defect of the run
                    log.exception("the live tail stopped")
                    break
        self._stream.close()

    def _send(self) -> None:
        while self._offered:
            numbered = self._offered.popleft()
            text = wire_text(numbered.event, numbered.id, self._index_of)
            self._unsent.append(Entry(numbered.id, text))
        is_first = True
        while self._unsent or is_first:
            batch = [self._unsent[i] for i in range(min(_LARGEST_BATCH, len(self._unsent)))]
            hint = self._stream.append(self._run_id, batch)
            for _ in batch:
                self._unsent.popleft()
            is_first = False
            if hint != self._hint:
                self._hint = hint
                self._on_hint()
        if self._retry_s and self._was_reached:
            log.info("live tail is back")
        self._was_reached, self._retry_s = True, 0.0

    def _back_off(self, error: Exception) -> None:
        # a run without anybody to watch it says nothing about that
        if self._was_reached and not self._retry_s:
            log.warning("live tail away, the run goes on", reason=" ".join(str(error).split()))
        self._retry_s = min(max(2 * self._retry_s, _FIRST_RETRY_S), _LONGEST_RETRY_S)
