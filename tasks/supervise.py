"""Carry a claimed run: start its training process, stay with it, settle what became of it."""

import signal
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from rankscope.storage.artifacts import RunFolder
from rankscope.storage.errors import StorageError
from rankscope.storage.queue import Claim, end_attempt, record_process, requeue
from rankscope.storage.runs import get_run
from rankscope.storage.settings import Settings
from rankscope.storage.supervision import standing
from rankscope.tasks import machine
from rankscope.tasks.processes import TrainingProcess, environment
from rankscope.tasks.settings import WorkerSettings

log = structlog.get_logger()

_TICK_S = 0.1
_LOOK_S = 1.0
"""Between looks at the run's row."""
KILL_AFTER_S = 10.0
"""From SIGTERM, which a training process answers at its next step, to SIGKILL."""


@dataclass(frozen=True)
class Post:
    """What the supervisors of one worker share."""

    engine: Engine
    settings: Settings
    patience: WorkerSettings
    num_slots: int
    ending: threading.Event
    """Set when the worker is to end."""


def supervise(post: Post, claim: Claim) -> None:
    """Start the training process of a run that this worker has claimed, and stay with it."""
    if post.ending.is_set():
        _settle(post, claim, "its worker ended before it began", counts=False)
        return
    try:
        process = _start(post, claim)
    except StorageError as error:  # a row of another version: no other worker could do better
        log.warning("cannot train", run=claim.run_id, reason=str(error))
        end_attempt(post.engine, claim.run_id, claim.attempt, "failed", str(error))
    except SQLAlchemyError:
        _settle(post, claim, "the database did not answer when it was to start", counts=False)
    except OSError as error:
        _settle(post, claim, f"its training process could not be started ({error})", counts=True)
    else:
        log.info("training", run=claim.run_id, attempt=claim.attempt, pid=process.pid)
        stay_with(post, claim, process)


def stay_with(post: Post, claim: Claim, process: TrainingProcess) -> None:
    """Watch a training process, also one that was found again, and settle what it leaves.

    Returns when it has ended, or within a moment when it is to be left to the next worker.
    """
    watch = _Watch(post, claim, process)
    while not process.has_ended():
        watch.look()
        if post.ending.wait(_TICK_S):
            if post.patience.on_shutdown == "leave":
                log.info("left training", run=claim.run_id, pid=process.pid)
                return
            watch.give_back()
            time.sleep(_TICK_S)
    log.info("ended", run=claim.run_id, attempt=claim.attempt, pid=process.pid)
    tail = " ".join(RunFolder(post.settings, claim.run_id).log_tail(1)) or "empty log"
    reason = f"{process.how_it_ended()} (last log line: {tail})"
    _settle(post, claim, reason, counts=not post.ending.is_set())


class _Watch:
    """Records a process, and presses it to end when it should have long ago."""

    def __init__(self, post: Post, claim: Claim, process: TrainingProcess) -> None:
        self._post, self._claim, self._process = post, claim, process
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
        self._press(signal.SIGUSR1)
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
            self._press(signal.SIGTERM)
        if overdue_s > KILL_AFTER_S:
            self._press(signal.SIGKILL)

    def _record(self) -> None:
        process, claim = self._process, self._claim
        record_process(
            self._post.engine,
            claim.run_id,
            claim.attempt,
            host=machine.host(),
            pid=process.pid,
            started_at=process.started_at,
        )
        self._is_recorded = True

    def _overdue_s(self, now: float) -> float:
        """Seconds for which the process should have ended, its grace taken off."""
        at = standing(self._post.engine, self._claim.run_id, self._claim.attempt, datetime.now(UTC))
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
        log.info("signal", run=self._claim.run_id, pid=self._process.pid, sent=number.name)
        if number == signal.SIGKILL:
            self._process.kill()
        else:
            self._process.ask(number)


def _start(post: Post, claim: Claim) -> TrainingProcess:
    config = get_run(post.engine, claim.run_id).config
    folder = RunFolder(post.settings, claim.run_id)
    folder.make()
    return TrainingProcess.start(
        claim.run_id,
        claim.attempt,
        log=folder.log_path,
        environment=environment(config, num_processes=post.num_slots),
    )


def _settle(post: Post, claim: Claim, reason: str, *, counts: bool) -> None:
    """Put a run whose process is gone back into the queue, unless it has said how it ended."""
    while True:
        try:
            status = requeue(post.engine, claim.run_id, claim.attempt, reason, counts=counts)
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
