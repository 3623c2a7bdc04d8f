"""A run of somebody's own Trainer: what it says, where that goes, and how it ends."""

import atexit
import logging
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, TextIO

from rankscope.models.events import Event, LogLine, StatusChanged, StepDone
from rankscope.models.lora.elastic import ElasticLora
from rankscope.models.reading import ConfigError
from rankscope.storage.choices import Control
from rankscope.tasks.narrating import line_of
from rankscope.tasks.sending import Sender, thinned

log = logging.getLogger(__name__)

Ending = Literal["done", "stopped", "failed"]

MAX_KEPT_STEPS = 100_000
"""Losses of single steps in ``events``, about 100 MB; of more, older ones are thinned."""
EXIT_FLUSH_S = 10.0
"""How long a process that ends without a word may hang on for a server that is away."""


class Attached:
    """What ``rankscope.attach`` gives back: look, and export as you always do.

    ``events`` is all that the run has said, oldest first; of very long runs, older losses are
    thinned there.
    """

    def __init__(
        self,
        elastic: ElasticLora,
        budget: int,
        *,
        sender: Sender | None,
        url: str | None,
        file: Path | None,
        flush_s: float,
    ) -> None:
        self.budget = budget
        self.ended: Ending | None = None
        self.scheduler_failure: str | None = None
        self._elastic = elastic
        self._sender = sender
        self._url = url
        self._path = file
        self._file: TextIO | None = None
        self._flush_s = flush_s
        self._step = 0
        self._events: list[Event] = []
        self._num_steps = 0
        self._lock = threading.Lock()

    @property
    def run_id(self) -> str | None:
        """The run's id; None without a server, and while that has not answered yet."""
        return self._sender.run_id if self._sender else None

    @property
    def page(self) -> str | None:
        """Address of the run's page; None as long as there is none."""
        return None if self.run_id is None else f"{self._url}/run?run={self.run_id}"

    @property
    def events(self) -> tuple[Event, ...]:
        """All that the run has said so far."""
        with self._lock:
            return tuple(self._events)

    @property
    def not_recorded(self) -> str | None:
        """Why the server records nothing more, if it does not."""
        return self._sender.failure if self._sender else None

    def ranks(self) -> Mapping[str, int]:
        """Every adapted module's rank now."""
        return self._elastic.ranks()

    def live_params(self) -> int:
        """Adapter parameters alive now, counted in the real tensors."""
        return self._elastic.live_params()

    def close(self) -> None:
        """End a run that is not going to train; after training there is nothing to do."""
        self.end("stopped", "closed before training ended")

    # --- for the callback ---------------------------------------------------------------------

    def start(self) -> None:
        """Open the file and the run.

        Raises:
            ConfigError: The file cannot be written.
            RemoteError: The server refuses.
        """
        if self._path is not None:
            try:
                self._file = self._path.open("a", encoding="utf-8")
            except OSError as error:
                raise ConfigError(
                    f"events_file must be a file that can be written, got {self._path} "
                    f"({error.strerror}); choose another"
                ) from error
        if self._sender is not None:
            self._sender.start()
        atexit.register(self._left_alone)

    def emit(self, event: Event) -> None:
        """Tell an event, and what people read of it; never fails."""
        self._step = event.step
        self._tell(event)
        line = line_of(event)
        if line is not None:
            log.info("step %d: %s", event.step, line)
            self._tell(LogLine(step=event.step, time=time.time(), level="info", text=line))

    def say(self, text: str, level: Literal["info", "warning", "error"] = "info") -> None:
        """A line for people, in the log and in the record."""
        log.log(logging.getLevelNamesMapping()[level.upper()], "step %d: %s", self._step, text)
        self._tell(LogLine(step=self._step, time=time.time(), level=level, text=text))

    def take_request(self) -> Control | None:
        """What somebody asked of the run on its page."""
        return self._sender.take_request() if self._sender else None

    def end(self, status: Ending, reason: str = "") -> None:
        """Close the run and wait, but not for long, until all has reached the server."""
        self._end(status, reason, self._flush_s)

    def _left_alone(self) -> None:
        self._end("failed", "its process ended before training did", EXIT_FLUSH_S)

    def _end(self, status: Ending, reason: str, flush_s: float) -> None:
        if self.ended is not None:
            return
        self.ended = status
        self._tell(StatusChanged(step=self._step, time=time.time(), status=status, reason=reason))
        atexit.unregister(self._left_alone)
        if self._sender is not None:
            left = self._sender.close(flush_s)
            if left:
                log.warning("%d events never reached Rankscope at %s", left, self._url)
        if self._file is not None:
            self._file.close()

    def _tell(self, event: Event) -> None:
        with self._lock:
            self._events.append(event)
            self._num_steps += isinstance(event, StepDone)
            if self._num_steps > MAX_KEPT_STEPS:
                self._events = thinned(self._events)
                self._num_steps = sum(isinstance(e, StepDone) for e in self._events)
        if self._sender is not None:
            self._sender.offer(event)
        if self._file is not None:
            try:
                self._file.write(event.model_dump_json() + "\n")
                self._file.flush()
            except OSError as error:
                log.warning("events are no longer written to the file: %s", error)
                self._file = None
