"""Real worker processes and the runs they train, in a folder of their own."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

import psutil
from sqlalchemy import Engine, select

from rankscope.models.events import RunStatus
from rankscope.models.reading import load_config
from rankscope.storage import history
from rankscope.storage.database import migrate, open_database, writing
from rankscope.storage.runs import RunRecord, get_run
from rankscope.storage.settings import Settings
from rankscope.storage.tables import Run
from rankscope.tasks import client

DEMO = Path(__file__).parents[2] / "configs" / "demo.yaml"
SMALL = [
    "training.batch_size=8",
    "evaluation.test_items=32",
    "evaluation.validation_items=16",
    "checkpoint.every_s=0.5",
]
IMPATIENT = {
    "OMP_NUM_THREADS": "1",
    "RANKSCOPE_LEASE_S": "10",
    "RANKSCOPE_POLL_S": "0.3",
    "RANKSCOPE_BEAT_S": "0.5",
    "RANKSCOPE_REAP_S": "0.5",
    "RANKSCOPE_STOP_GRACE_S": "10",
}
T = TypeVar("T")


class Farm:
    """One database, one Redis, any number of workers; all processes end with it.

    Args:
        home: For the database and the runs' files.
        redis_url: The server, which may be away.
        database_url: None for SQLite in ``home``.
    """

    def __init__(self, home: Path, redis_url: str, database_url: str | None = None) -> None:
        self.home = home
        addresses = {"rankscope_home": home, "redis_url": redis_url}
        if database_url:
            addresses["database_url"] = database_url
        self.settings = Settings(**addresses)  # type: ignore[arg-type]
        self.engine: Engine = open_database(self.settings.database_url)
        migrate(self.engine)
        self.workers: list[subprocess.Popen[bytes]] = []

    def start_worker(self, *, slots: int = 2, **environment: str) -> "subprocess.Popen[bytes]":
        """Start a worker as people do; its output is in ``worker-N.log``."""
        addresses = {
            "RANKSCOPE_HOME": str(self.home),
            "DATABASE_URL": self.settings.database_url,
            "REDIS_URL": self.settings.live_url,
        }
        with self.log_of(len(self.workers)).open("wb") as log:
            worker = subprocess.Popen(
                [sys.executable, "-P", "-m", "rankscope.app", "worker", "--slots", str(slots)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=dict(os.environ) | IMPATIENT | addresses | environment,
            )
        self.workers.append(worker)
        return worker

    def log_of(self, number: int) -> Path:
        """Output of a worker, in the order they were started."""
        return self.home / f"worker-{number}.log"

    def submit(self, *overrides: str, steps: int = 12, priority: int = 5) -> str:
        """Put one small run into the queue and wake the workers."""
        config = load_config(DEMO, [*SMALL, f"training.steps={steps}", *overrides])
        return client.submit(self.engine, self.settings, config, owner="me", priority=priority)[0]

    def run(self, run_id: str) -> RunRecord:
        """Its row now."""
        return get_run(self.engine, run_id)

    def process(self, run_id: str) -> tuple[str | None, int | None]:
        """Host and pid of its training process, as recorded."""
        with self.engine.connect() as connection:
            columns = select(Run.process_host, Run.process_pid).where(Run.id == run_id)
            host, pid = connection.execute(columns).one()
        return host, pid

    def trainer(self, run_id: str) -> psutil.Process:
        """Its training process, waited for."""
        pid = self.wait(f"no process of {run_id}", lambda: self.process(run_id)[1])
        return psutil.Process(pid)

    def suspend(self, run_id: str) -> psutil.Process:
        """Freeze its training process between two transactions.

        Frozen inside of one, it would hold SQLite's only write lock against everybody.
        """
        trainer = self.trainer(run_id)
        with writing(self.engine):
            trainer.suspend()
            self.wait("it runs on", lambda: trainer.status() == psutil.STATUS_STOPPED)
        return trainer

    def wait_for(self, run_id: str, *statuses: RunStatus, step: int = 0) -> RunRecord:
        """Wait until a run is in one of these statuses and has come so far."""

        def arrived() -> RunRecord | None:
            run = self.run(run_id)
            return run if run.status in statuses and run.step >= step else None

        return self.wait(f"{run_id} never {statuses} at step {step}", arrived)

    def wait_for_checkpoint(self, run_id: str) -> None:
        """Wait until it has one on disk."""
        folder = self.settings.runs_dir / run_id / "checkpoints"
        self.wait("no checkpoint", lambda: list(folder.glob("step-*/state.json")))

    def wait(self, complaint: str, look: Callable[[], T | None], timeout_s: float = 150) -> T:
        """Wait for what a look gives, and tell the workers' logs if it never comes."""
        deadline = time.monotonic() + timeout_s
        while not (seen := look()):
            if time.monotonic() > deadline:
                raise AssertionError(f"{complaint}\n{self.logs()}")
            time.sleep(0.1)
        return seen

    def assert_complete(self, run_id: str) -> None:
        """Every step, rank change and score of a run that is done was recorded once."""
        run = self.run(run_id)
        assert run.status == "done", run.status_reason
        steps = history.metrics(self.engine, run_id)["step"].tolist()
        assert steps == list(range(1, run.num_steps + 1))
        assert not history.rank_history(self.engine, run_id).duplicated(["step", "module"]).any()
        scores = history.evaluations(self.engine, run_id)
        keys = [(score.part, score.when, score.step) for score in scores]
        assert len(set(keys)) == len(keys)
        assert ("test", "after", run.num_steps) in keys

    def logs(self) -> str:
        """What all workers and runs have said."""
        paths = [*self.home.glob("worker-*.log"), *self.settings.runs_dir.glob("*/log.txt")]
        return "\n".join(f"== {path}\n{path.read_text()[-4000:]}" for path in paths)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for worker in self.workers:
            worker.kill()
            worker.wait()
        for process in psutil.process_iter(["cmdline", "environ"]):
            command, environment = process.info["cmdline"] or [], process.info["environ"] or {}
            is_ours = environment.get("RANKSCOPE_HOME") == str(self.home)
            if is_ours and any("rankscope.tasks." in word for word in command):
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.send_signal(signal.SIGKILL)
        self.engine.dispose()
