"""Carries what a run says to a running Rankscope over HTTP, beside training, not in its way."""

import json
import logging
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

from pydantic import BaseModel
from tenacity import RetryCallState, Retrying, retry_if_exception_type, wait_exponential_jitter

from rankscope.models.events import Event, StepDone
from rankscope.models.external import ExternalRun
from rankscope.models.inventory import Inventory
from rankscope.storage.choices import Control
from rankscope.tasks.remote import RemoteError, Server, ServerAway

log = logging.getLogger(__name__)
Result = TypeVar("Result")

MAX_WAITING_STEPS = 20_000
"""Losses of single steps kept while the server is away, about 20 MB; of more, older ones are
thinned. What else a run says is kept whole: it is little."""
_FLUSH_S = 0.5
_MAX_EVENTS = 1_000
_MAX_BATCH_CHARACTERS = 8_000_000
"""A view of thousands of modules is long; a server takes four times as much."""
_FIRST_RETRY_S, _LONGEST_RETRY_S = 0.2, 5.0
_LAST_CALL_S = 1.0


class _Opened(BaseModel):
    run: str
    attempt: int
    last: int
    heartbeat_s: float


class _Received(BaseModel):
    requests: list[Control]


class Sender:
    """One thread that opens a run and sends its events, in order, each once.

    ``offer`` never waits. With the server away, events wait in memory and are sent when it is back.
    What waiting cannot mend becomes ``failure``, and nothing more is sent; training never notices.

    Args:
        server: Where to; closed at the end.
        described: What the run says of itself.
        inventory: Its modules.
        key: Names the run, so that opening it again finds it.
        other_trainable_params: Trained beside the adapters.
    """

    def __init__(
        self,
        server: Server,
        described: ExternalRun,
        inventory: Inventory,
        *,
        key: str,
        other_trainable_params: int,
    ) -> None:
        self.run_id: str | None = None
        self.failure: str | None = None
        self._server = server
        self._opening = {
            "described": described.model_dump(mode="json"),
            "inventory": inventory.model_dump(mode="json"),
            "key": key,
            "other_trainable_params": other_trainable_params,
        }
        self._lock = threading.Lock()  # guards the three fields below
        self._waiting: list[Event] = []
        self._num_waiting_steps = 0
        self._requests: set[Control] = set()
        self._closing = threading.Event()
        self._closes_at = 0.0
        # the thread's own
        self._in_flight: Sequence[Event] = ()
        self._attempt = 0
        self._num_sent = 0
        self._heartbeat_s = 0.0
        self._spoke_at = 0.0
        self._thread = threading.Thread(target=self._work, name="rankscope", daemon=True)

    def start(self) -> None:
        """Open the run; a server that is away is asked again later.

        Raises:
            RemoteError: The server refuses, which the person should know before training.
        """
        try:
            self._open()
        except ServerAway as error:
            log.warning("events wait: %s", error)
        except RemoteError:
            self._server.close()
            raise
        self._thread.start()

    def offer(self, event: Event) -> None:
        """Take an event; a few microseconds, whatever the server does."""
        if self.failure is not None:
            return
        with self._lock:
            self._waiting.append(event)
            self._num_waiting_steps += isinstance(event, StepDone)
            if self._num_waiting_steps > MAX_WAITING_STEPS:
                self._waiting = thinned(self._waiting)
                self._num_waiting_steps = _num_steps(self._waiting)

    def take_request(self) -> Control | None:
        """What somebody asked of the run on its page since the last call."""
        with self._lock:
            return self._requests.pop() if self._requests else None

    def close(self, timeout_s: float) -> int:
        """Send what waits, if the server takes it within the time; returns how much was left."""
        self._closes_at = time.monotonic() + timeout_s
        self._closing.set()
        if self._thread.ident is not None:
            self._thread.join(timeout_s + _LAST_CALL_S)
        self._server.close()
        return len(self._in_flight) + len(self._waiting)

    # --- the thread ---------------------------------------------------------------------------

    def _work(self) -> None:
        try:
            if self.run_id is None:
                self._insist(self._open)
            is_closing = False
            while not is_closing:
                is_closing = self._closing.wait(_FLUSH_S)
                self._send_waiting()
        except RemoteError as error:
            self._give_up(str(error))
        except Exception as error:
            log.exception("sending to Rankscope stopped")
            self._give_up(f"{type(error).__name__}: {error}")

    def _open(self) -> None:
        opened = _Opened.model_validate(self._server.post("/api/external", self._opening))
        self._attempt, self._num_sent = opened.attempt, opened.last
        self._heartbeat_s = opened.heartbeat_s
        self._spoke_at = time.monotonic()
        self.run_id = opened.run

    def _send_waiting(self) -> None:
        is_due = time.monotonic() - self._spoke_at >= self._heartbeat_s
        while is_due or self._in_flight or self._take():
            num_events, text = _text(self._in_flight, self._attempt, self._num_sent + 1)
            received = self._insist(partial(self._post, text))
            self._spoke_at, is_due = time.monotonic(), False
            self._in_flight = self._in_flight[num_events:]
            self._num_sent += num_events
            with self._lock:
                self._requests |= set(received.requests)

    def _take(self) -> bool:
        """Take some of what waits out of reach of the thinning; False where nothing waits."""
        with self._lock:
            self._in_flight = self._waiting[:_MAX_EVENTS]
            del self._waiting[:_MAX_EVENTS]
            self._num_waiting_steps -= _num_steps(self._in_flight)
        return bool(self._in_flight)

    def _post(self, text: str) -> _Received:
        path = f"/api/external/{self.run_id}/events"
        return _Received.model_validate(self._server.post(path, text))

    def _insist(self, act: Callable[[], Result]) -> Result:
        """Do it as often as the server is away, until time is up."""
        retrying = Retrying(
            retry=retry_if_exception_type(ServerAway),
            wait=wait_exponential_jitter(
                multiplier=_FIRST_RETRY_S, max=_LONGEST_RETRY_S, jitter=0.1
            ),
            stop=self._is_over,
            sleep=self._pause,
            reraise=True,
        )
        return retrying(act)

    def _is_over(self, state: RetryCallState) -> bool:
        del state
        return self._closing.is_set() and time.monotonic() >= self._closes_at

    def _pause(self, seconds: float) -> None:
        """Wait, but no longer than until the end is near: then every moment counts."""
        if self._closing.is_set():
            time.sleep(min(_FIRST_RETRY_S, seconds))
        else:
            self._closing.wait(seconds)

    def _give_up(self, reason: str) -> None:
        self.failure = reason
        log.error("Rankscope records nothing more, training goes on: %s", reason)


def thinned(events: Sequence[Event]) -> list[Event]:
    """Every second step loss of the older half left out; all that is no step loss stays."""
    half = len(events) // 2
    kept: list[Event] = []
    is_left_out = False
    for event in events[:half]:
        if isinstance(event, StepDone):
            is_left_out = not is_left_out
            if is_left_out:
                continue
        kept.append(event)
    return [*kept, *events[half:]]


def _num_steps(events: Sequence[Event]) -> int:
    return sum(isinstance(event, StepDone) for event in events)


def _text(events: Sequence[Event], attempt: int, first: int) -> tuple[int, str]:
    """How many of the events fit into one batch, and that batch as JSON.

    A loss that is not a number is written as such, which pydantic reads and JSON proper cannot say.
    """
    texts: list[str] = []
    num_characters = 0
    for event in events:
        text = json.dumps(event.model_dump(), separators=(",", ":"))
        num_characters += len(text)
        if texts and num_characters > _MAX_BATCH_CHARACTERS:
            break
        texts.append(text)
    body = f'{{"attempt":{attempt},"first":{first},"events":[{",".join(texts)}]}}'
    return len(texts), body
