"""Answers of processes that take seconds: asked for once, looked up while they are worked on."""

import subprocess
import threading
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field

from rankscope.models.config import RunConfig
from rankscope.tasks.processes import command, environment, last_line, reason_of

MAX_PROCESSES = 2
"""At once; each imports torch, which takes half a gigabyte and seconds of a core."""
LIMIT_S = 600.0
"""A process that takes longer is ended; the small files of a model come in a minute."""
REPEAT_AFTER_S = 60.0
"""A refusal may have gone by then: a file was put there, the network came back."""
_MAX_KEPT = 64


@dataclass(frozen=True)
class Working:
    """There is no answer yet."""

    elapsed_s: float


@dataclass(frozen=True)
class Refused:
    """There will be none; the message says rule, value and remedy."""

    message: str


@dataclass(frozen=True)
class Answered:
    """The last line that the process printed."""

    text: str


@dataclass
class _Job:
    asked_s: float = field(default_factory=time.monotonic)
    ended_s: float = 0.0
    answer: Answered | Refused | None = None
    process: "subprocess.Popen[str] | None" = None


class Answers:
    """Starts processes and keeps what they said; threads that wait for them are daemons.

    Args:
        max_processes: At once; the others wait.
        limit_s: A process that takes longer is ended.
    """

    def __init__(self, *, max_processes: int = MAX_PROCESSES, limit_s: float = LIMIT_S) -> None:
        self._limit_s = limit_s
        self._places = threading.BoundedSemaphore(max_processes)
        self._lock = threading.Lock()
        self._jobs: OrderedDict[tuple[str, ...], _Job] = OrderedDict()
        self._is_closed = False

    def look(
        self, verb: str, *arguments: str, config: RunConfig, again: bool = False
    ) -> Answered | Refused | Working:
        """The answer of ``rankscope.tasks.VERB``; the first look, or one after long, asks for it.

        Args:
            verb: Which process.
            arguments: What it is given; equal ones are asked once.
            config: Decides its environment.
            again: Ask anew, unless it is being worked on.
        """
        key = (verb, *arguments)
        with self._lock:
            job = self._jobs.get(key)
            if job is None or _is_over(job, again=again):
                job = self._jobs[key] = _Job()
                self._forget_old()
                threading.Thread(
                    target=self._work, args=(job, key, config), name=verb, daemon=True
                ).start()
            self._jobs.move_to_end(key)
            return job.answer or Working(time.monotonic() - job.asked_s)

    def progress(self, verb: str, *arguments: str) -> Answered | Refused | Working | None:
        """What is known of an answer, without asking for it; None if nobody asked yet."""
        with self._lock:
            job = self._jobs.get((verb, *arguments))
            if job is None:
                return None
            return job.answer or Working(time.monotonic() - job.asked_s)

    def close(self) -> None:
        """End the processes that still work."""
        with self._lock:
            self._is_closed = True
            for job in self._jobs.values():
                if job.process is not None and job.answer is None:
                    job.process.kill()

    def _work(self, job: _Job, arguments: Sequence[str], config: RunConfig) -> None:
        with self._places:
            try:
                answer = self._answer(job, arguments, config)
            except OSError as error:  # no process can be started
                answer = Refused(f"a process must start, got {error}; try again later")
        with self._lock:
            job.answer, job.ended_s, job.process = answer, time.monotonic(), None

    def _answer(self, job: _Job, arguments: Sequence[str], config: RunConfig) -> Answered | Refused:
        with self._lock:
            if self._is_closed:
                return Refused("the server is ending; ask again")
            job.process = subprocess.Popen(
                command(*arguments),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                env=environment(config),
            )
        with job.process as process:
            try:
                said, complained = process.communicate(timeout=self._limit_s)
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate()
                return Refused(
                    f"an answer must come within {self._limit_s:,.0f} s, {arguments[0]} takes "
                    "longer; check the connection, then try again"
                )
            if process.returncode:
                return Refused(reason_of(complained))
            return Answered(last_line(said))

    def _forget_old(self) -> None:
        while len(self._jobs) > _MAX_KEPT:
            oldest = next((key for key, job in self._jobs.items() if job.answer), None)
            if oldest is None:
                return
            del self._jobs[oldest]


def _is_over(job: _Job, *, again: bool) -> bool:
    """Whether to ask anew."""
    if job.answer is None:
        return False
    is_stale = isinstance(job.answer, Refused) and (time.monotonic() - job.ended_s > REPEAT_AFTER_S)
    return again or is_stale
