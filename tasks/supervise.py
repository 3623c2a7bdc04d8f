"""Carry a claimed run or evaluation: start its process, stay with it, settle what it leaves."""

import signal
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from rankscope.storage.errors import StorageError
from rankscope.storage.queue import end_attempt, record_process, requeue
from rankscope.storage.settings import Settings
from rankscope.tasks import machine
from rankscope.tasks.jobs import Job
from rankscope.tasks.processes import GIVE_BACK, STOP, TrainingProcess
from rankscope.tasks.settings import WorkerSettings

log = structlog.get_logger()

_TICK_S = 0.1
_LOOK_S = 1.0
"""Between looks at the run's row."""
KILL_AFTER_S = 10.0
"""From a stop, which a training process answers at its next step, to SIGKILL."""


@dataclass(frozen=True)
class Post:
    """What the supervisors of one worker share."""

    engine: Engine
    settings: Settings
    patience: WorkerSettings
    num_slots: int
    ending: threading.Event
    """Set when the worker is to end."""


def supervise(post: Post, job: Job) -> None:
    """Start the process of what this worker has claimed, and stay with it."""
    claim = job.claim
    if post.ending.is_set():
        _settle(post, job, "its worker ended before it began", counts=False)
        return
    try:
        process = job.start(post.engine, post.settings, post.num_slots)
    except StorageError as error:  # a row of another version: no other worker could do better
        log.warning("cannot train", run=claim.run_id, reason=str(error))
        end_attempt(post.engine, *claim, "failed", str(error), job.table)
    except SQLAlchemyError:
        _settle(post, job, "the database did not answer when it was to start", counts=False)
    except OSError as error:
        _settle(post, job, f"its process could not be started ({error})", counts=True)
    else:
        log.info("training", run=claim.run_id, attempt=claim.attempt, pid=process.pid)
        stay_with(post, job, process)


def stay_with(post: Post, job: Job, process: TrainingProcess) -> None:
    """Watch a process, also one that was found again, and settle what it leaves.

    Returns when it has ended, or within a moment when it is to be left to the next worker.
    """
    claim = job.claim
    watch = _Watch(post, job, process)
    while not process.has_ended():
        watch.look()
        if post.ending.wait(_TICK_S):
            if post.patience.on_shutdown == "leave":
                log.info("left training", run=claim.run_id, pid=process.pid)
                return
            watch.give_back()
            time.sleep(_TICK_S)
    log.info("ended", run=claim.run_id, attempt=claim.attempt, pid=process.pid)
    tail = " ".join(job.log_tail(post.settings, 1)) or "empty log"
    reason = f"{process.how_it_ended()} (last log line: {tail})"
    _settle(post, job, reason, counts=not post.ending.is_set())


class _Watch:
    """Records a process, and presses it to end when it should have long ago."""

    def __init__(self, post: Post, job: Job, process: TrainingProcess) -> None:
        self._post, self._job, self._process = post, job, process
        self._is_recorded = False
        self._looked_s = -_LOOK_S
        self._over_since_s: float | None = None
        self._given_back_s: float | None = None
        self._sent: set[signal.Signals] = set()

    def give_back(self) -> None:
        """Ask it to save and go back to the queue; one that takes too long is killed."""
        now = time.monotonic()
        if self._given_back_s is None:
            self._given_back_s = now
        self._press(GIVE_BACK)
        if now - self._given_back_s > self._post.patience.shutdown_grace_s:
            self._press(signal.SIGKILL)

    def look(self) -> None:
        """Compare with the run's row, once a second; a database that is away changes nothing."""
        now = time.monotonic()
        if now - self._looked_s < _LOOK_S:
            return
        self._looked_s = now
        try:
            if not self._is_recorded:
                self._record()
            overdue_s = self._overdue_s(now)
        except SQLAlchemyError:
            return  # the worker's duties say that the database is away
        if overdue_s > 0:
            self._press(STOP)
        if overdue_s > KILL_AFTER_S:
            self._press(signal.SIGKILL)

    def _record(self) -> None:
        process = self._process
        record_process(
            self._post.engine,
            *self._job.claim,
            host=machine.host(),
            pid=process.pid,
            started_at=process.started_at,
            job=self._job.table,
        )
        self._is_recorded = True

    def _overdue_s(self, now: float) -> float:
        """Seconds for which the process should have ended, its grace taken off."""
        at = self._job.standing(self._post.engine, datetime.now(UTC))
        if at.is_live:
            self._over_since_s = None
            return (at.stop_asked_s or 0.0) - self._post.patience.stop_grace_s
        if self._over_since_s is None:
            self._over_since_s = now
        return now - self._over_since_s - self._post.patience.stop_grace_s

    def _press(self, number: signal.Signals) -> None:
        """Send a signal, each kind once."""
        if number in self._sent:
            return
        self._sent.add(number)
        log.info("signal", run=self._job.claim.run_id, pid=self._process.pid, sent=number.name)
        if number == signal.SIGKILL:
            self._process.kill()
        else:
            self._process.ask(number)


def _settle(post: Post, job: Job, reason: str, *, counts: bool) -> None:
    """Put what has lost its process back into the queue, unless it has said how it ended."""
    claim = job.claim
    while True:
        try:
            status = requeue(post.engine, *claim, reason, counts=counts, job=job.table)
        except SQLAlchemyError:
            # a worker that ends leaves it to the lease
            if post.ending.wait(_LOOK_S):
                return
        except StorageError as error:
            log.warning("nothing to settle", run=claim.run_id, reason=str(error))
            return
        else:
            log.info("settled", run=claim.run_id, attempt=claim.attempt, status=status)
            return
