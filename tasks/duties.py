"""What a worker does by itself every few seconds, whatever Redis does.

Runs and evaluations are claimed here and nowhere else; a message from Redis only makes the next
look come at once. A supervisor inside a Celery task would hold its thread for hours: messages would
wait behind it, and runs found while Redis is away would need slots of their own beside Celery's. So
every run has a thread of this worker, and Celery's are free for what is short.
"""

import contextlib
import os
import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version

import structlog
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from rankscope.storage import workers
from rankscope.storage.database import migrate, open_database
from rankscope.storage.errors import StorageError
from rankscope.storage.queue import Claim, adopt, live_processes
from rankscope.storage.settings import Settings
from rankscope.tasks import machine
from rankscope.tasks.jobs import JOBS, Job, claim_job
from rankscope.tasks.learning import AutomaticLearning
from rankscope.tasks.processes import TrainingProcess
from rankscope.tasks.reaper import Reaper
from rankscope.tasks.settings import WorkerSettings
from rankscope.tasks.supervise import Post, stay_with, supervise

log = structlog.get_logger()

_MEASURE_S = 10.0
"""Between looks at the memory: asking an accelerator's driver starts a process."""
_LEARN_S = 30.0
"""Between looks for enough new runs to learn from."""
_LAST_WORDS_S = 5.0
"""How long a worker that ends waits for threads of its own that should have ended."""


class Duties:
    """Heartbeat, reaper, adoption and claims of one worker process, and its supervisors.

    Args:
        settings: Where database and files are.
        patience: How often and how long.
        worker_id: A name that no other worker ever had.
        queues: Where to take runs from.
        num_slots: How many runs at once.
    """

    def __init__(
        self,
        settings: Settings,
        patience: WorkerSettings,
        *,
        worker_id: str,
        queues: Sequence[str],
        num_slots: int,
    ) -> None:
        self.ending = threading.Event()
        self._settings, self._patience = settings, patience
        self._id, self._queues, self._num_slots = worker_id, tuple(queues), num_slots
        self._woken = threading.Event()
        self._has_ended = threading.Event()
        self._lock = threading.Lock()  # guards _supervisors
        self._supervisors: dict[Job, threading.Thread] = {}
        self._memory: machine.Memory | None = None
        self._thread = threading.Thread(target=self._work, name="duties", daemon=True)

    def start(self) -> None:
        """Begin; a database that is away is waited for."""
        self._thread.start()

    def wake(self) -> None:
        """Look at the queue at once."""
        self._woken.set()

    def end(self) -> None:
        """Claim nothing more, and let the supervisors leave or give back what they train."""
        self.ending.set()
        self._woken.set()

    def join(self) -> None:
        """Wait until all supervisors have returned, then take the worker off the list."""
        grace_s = self._patience.shutdown_grace_s if self._gives_back else 0.0
        deadline = time.monotonic() + grace_s + _LAST_WORDS_S
        for thread in self._threads():
            thread.join(max(0.0, deadline - time.monotonic()))
        self._has_ended.set()
        self._woken.set()
        self._thread.join(_LAST_WORDS_S)

    @property
    def _gives_back(self) -> bool:
        return self._patience.on_shutdown == "requeue"

    def _threads(self) -> list[threading.Thread]:
        with self._lock:
            return list(self._supervisors.values())

    # --- the thread of the duties -------------------------------------------------------------

    def _work(self) -> None:
        engine = self._open()
        if engine is None:
            return
        patience, device = self._patience, machine.device()
        beat = _Duty("heartbeat", partial(self._beat, engine, device), patience.beat_s)
        learning = AutomaticLearning(engine, every_runs=patience.learn_every_runs)
        look = _Duty("claims", partial(self._claim, engine), patience.poll_s)
        others = (
            _Duty("memory", self._measure, _MEASURE_S),
            _Duty("reaper", Reaper(engine, every_s=patience.reap_s).reap, patience.reap_s),
            _Duty("adoption", partial(self._adopt, engine), patience.beat_s),
            _Duty("learning", learning.look, _LEARN_S),
        )
        log.info("worker ready", worker=self._id, device=device, slots=self._num_slots)
        while not self._has_ended.is_set():
            duties = (beat,) if self.ending.is_set() else (*others, beat, look)
            for duty in duties:
                duty.do_if_due()
            if self._woken.wait(min(duty.due_in_s() for duty in duties)):
                self._woken.clear()
                look.hurry()
        with contextlib.suppress(SQLAlchemyError):
            workers.remove(engine, self._id)

    def _open(self) -> Engine | None:
        """The database of this version's schema; None when the worker ends before it answers."""
        said = ""
        while not self.ending.is_set():
            try:
                engine = open_database(self._settings.database_url)
                migrate(engine)
            except StorageError as error:
                if str(error) != said:
                    said = str(error)
                    log.warning("waiting for the database", reason=said)
                self.ending.wait(self._patience.beat_s)
            else:
                return engine
        return None

    def _measure(self) -> None:
        self._memory = machine.memory()

    def _beat(self, engine: Engine, device: str) -> None:
        memory = self._memory
        workers.beat(
            engine,
            workers.WorkerBeat(
                id=self._id,
                host=machine.host(),
                pid=os.getpid(),
                queues=self._queues,
                num_slots=self._num_slots,
                device=device,
                memory_bytes=memory and memory.total_bytes,
                memory_used_bytes=memory and memory.used_bytes,
                version=version("rankscope"),
            ),
        )

    def _claim(self, engine: Engine) -> None:
        while len(self._threads()) < self._num_slots and not self.ending.is_set():
            job = claim_job(
                engine, self._queues, worker_id=self._id, lease_s=self._patience.start_lease_s
            )
            if job is None:
                return
            self._begin(job, partial(supervise, self._post(engine), job))

    def _adopt(self, engine: Engine) -> None:
        """Take over the processes of this host whose worker is gone."""
        with self._lock:
            own = set(self._supervisors)
        strangers = [
            (job, row)
            for kind in JOBS
            for row in live_processes(engine, machine.host(), kind.table)
            if (job := kind(Claim(row.run_id, row.attempt))) not in own
        ]
        if not strangers:
            return
        listed = workers.list_workers(engine, datetime.now(UTC))
        alive = {worker.id for worker in listed if worker.is_alive}
        for job, (run_id, attempt, pid, started_at, worker_id) in strangers:
            if worker_id in alive:
                continue
            process = TrainingProcess.find(run_id, pid, started_at)
            if process and adopt(engine, run_id, attempt, worker_id=self._id, job=job.table):
                log.info("adopted", run=run_id, attempt=attempt, pid=pid)
                self._begin(job, partial(stay_with, self._post(engine), job, process))

    def _post(self, engine: Engine) -> Post:
        return Post(engine, self._settings, self._patience, self._num_slots, self.ending)

    def _begin(self, job: Job, supervision: Callable[[], None]) -> None:
        def work() -> None:
            try:
                supervision()
            finally:
                with self._lock:
                    del self._supervisors[job]
                self._woken.set()

        thread = threading.Thread(target=work, name=f"run-{job.claim.run_id}", daemon=True)
        with self._lock:
            self._supervisors[job] = thread
        thread.start()


class _Duty:
    """Something done again and again; its failures are told once until it succeeds again."""

    def __init__(self, name: str, act: Callable[[], None], every_s: float) -> None:
        self._name, self._act, self._every_s = name, act, every_s
        self._due_at = time.monotonic()
        self._is_failing = False

    def due_in_s(self) -> float:
        return max(0.0, self._due_at - time.monotonic())

    def hurry(self) -> None:
        self._due_at = time.monotonic()

    def do_if_due(self) -> None:
        if self.due_in_s() > 0:
            return
        self._due_at = time.monotonic() + self._every_s
        try:
            self._act()
        except Exception as error:  # noqa: BLE001 - one duty that fails must not end the others
            if not self._is_failing:
                log.warning("a duty fails", duty=self._name, reason=_one_line(error))
            self._is_failing = True
        else:
            if self._is_failing:
                log.info("a duty succeeds again", duty=self._name)
            self._is_failing = False


def _one_line(error: Exception) -> str:
    # the driver's own words, without the statement and its values
    cause = error.orig if isinstance(error, DBAPIError) and error.orig else error
    return " ".join(str(cause).split()) or type(cause).__name__
