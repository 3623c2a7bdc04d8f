"""Everything on this machine: private Valkey, worker and web process, looked after together."""

import os
import socket
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

from rankscope.app.door.admission import admit, read_web_settings
from rankscope.app.store import open_store
from rankscope.app.up import private_valkey
from rankscope.app.up.child import Child, end_leftover
from rankscope.app.up.home_lock import HomeLock
from rankscope.app.up.ports import check_free
from rankscope.storage.database import open_database
from rankscope.storage.errors import UnusableDatabaseError
from rankscope.storage.queue import live_processes
from rankscope.storage.settings import Settings
from rankscope.tasks import client
from rankscope.tasks.client import JobFailed

TEND_EVERY_S = 0.2
PATIENCE_S = {"web": 6.0, "worker": 15.0, "valkey": 6.0}
"""How long each may take to end. The web process cuts open pages after 3 s; a worker lets go of
its trainings within a second, or within its grace period where they have to save first."""


class ServiceFailed(JobFailed):
    """A process ended while everything was starting; holds the last lines of its log."""


class Services:
    """Starts the processes, brings back one that dies, stops them in order.

    As a context manager it is started inside and stopped afterwards. Trainings are no children of
    it: they run on when it stops, and the next worker of this home takes them over.

    Args:
        settings: Home, database and Redis; a private Valkey is started where none is given.
        host: Address of the web process.
        port: Port of the web process.
        slots: How many trainings run at once; on a machine of several GPUs one on each at least.
        say: Tells people what happens.
    """

    def __init__(
        self,
        settings: Settings,
        host: str = "127.0.0.1",
        port: int = 7860,
        slots: int = 2,
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._settings = settings
        self._host = host
        self._port = port
        self._slots = slots
        self._say = say
        self._home = settings.rankscope_home.expanduser().absolute()
        self._lock = HomeLock(self._home)
        self._children: list[Child] = []
        self._ending = threading.Event()
        self._tender = threading.Thread(target=self._tend, name="rankscope-services", daemon=True)

    @property
    def url(self) -> str:
        """Where a browser on this machine finds the pages."""
        host = "127.0.0.1" if self._host in ("0.0.0.0", "::") else self._host  # noqa: S104
        return f"http://{f'[{host}]' if ':' in host else host}:{self._port}"

    def start(self) -> None:
        """Migrate the database and start all processes.

        Raises:
            ConfigError: If another ``up`` runs on this home, the port is taken, or nobody could
                sign in to an address that others reach.
            ServiceFailed: If the private server does not come up.
        """
        left = self._lock.take()
        try:
            for pid, moment in left.get("children", []):
                if end_leftover(pid, moment, PATIENCE_S["worker"]):
                    self._say(f"ended process {pid}, left behind by an up that was killed")
            check_free(self._host, self._port)
            engine = open_store(self._settings)
            admit(engine, read_web_settings(), self._host)
            engine.dispose()
            self._start_children()
        except BaseException:
            self.stop()
            raise
        self._tender.start()

    def wait_until_ready(self, timeout_s: float = 120.0) -> None:
        """Wait until the web process says that database and Redis answer.

        Raises:
            ServiceFailed: If a process ends meanwhile, or the time is over.
        """
        deadline = time.monotonic() + timeout_s
        said = "no answer"
        while time.monotonic() < deadline:
            failed = next((child for child in self._children if child.num_ends), None)
            if failed is not None:
                raise _failed(failed, failed.how_it_ended())
            try:
                urllib.request.urlopen(f"{self.url}/readyz", timeout=2).close()  # noqa: S310
            except OSError as error:
                said = str(error)
            else:
                return
            time.sleep(0.1)
        raise _failed(self._children[-1], f"was not ready within {timeout_s:.0f} s ({said})")

    def stop(self) -> None:
        """Stop the processes, the last started first; trainings go on."""
        self._ending.set()
        if self._tender.is_alive():
            self._tender.join()
        for child in reversed(self._children):
            child.stop(PATIENCE_S[child.name.partition("-")[0]])
        if self._children:
            self._say_what_goes_on()
        self._children = []
        self._lock.release()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _start_children(self) -> None:
        environment = self._environment()
        commands = {}
        if self._settings.redis_url is None:
            commands["valkey"] = private_valkey.command(self._settings)
        rankscope = (sys.executable, "-P", "-m", "rankscope.app")
        commands |= worker_commands(rankscope, self._slots, client.gpus())
        commands["web"] = [*rankscope, "web", "--host", self._host, "--port", str(self._port)]
        for name, command in commands.items():
            log = self._home / "logs" / f"{name}.log"
            child = Child(name, command, environment=environment, log=log, say=self._say)
            self._children.append(child)
            child.start()
            self._record()
            if name == "valkey" and not private_valkey.answers(self._settings, child.has_ended):
                raise _failed(child, child.how_it_ended())

    def _environment(self) -> dict[str, str]:
        environment = {
            **os.environ,
            "RANKSCOPE_HOME": str(self._home),
            "DATABASE_URL": self._settings.database_url,
        }
        environment.pop("REDIS_URL", None)
        if self._settings.redis_url is not None:
            environment["REDIS_URL"] = self._settings.redis_url
        return environment

    def _tend(self) -> None:
        while not self._ending.wait(TEND_EVERY_S):
            for child in self._children:
                if child.tend():
                    self._record()

    def _record(self) -> None:
        running = [child.identity() for child in self._children]
        children = [identity for identity in running if identity is not None]
        self._lock.write({"pid": os.getpid(), "url": self.url, "children": children})

    def _say_what_goes_on(self) -> None:
        try:
            engine = open_database(self._settings.database_url)
        except UnusableDatabaseError:
            return
        num_runs = len(live_processes(engine, socket.gethostname()))
        engine.dispose()
        if num_runs:
            runs = "1 training goes on" if num_runs == 1 else f"{num_runs} trainings go on"
            self._say(f"{runs}; the next rankscope up takes over")


def worker_commands(
    rankscope: Sequence[str], num_slots: int, gpus: Sequence[str]
) -> dict[str, list[str]]:
    """Worker processes by their names: one, or one for each of several GPUs.

    The slots are dealt out to them, one to each at least.
    """
    command = [*rankscope, "worker", "--slots"]
    if len(gpus) < 2:
        return {"worker": [*command, str(num_slots)]}
    each = -(-num_slots // len(gpus))
    return {f"worker-{gpu}": [*command, str(each), "--gpu", gpu] for gpu in gpus}


def _failed(child: Child, what: str) -> ServiceFailed:
    lines = "\n  ".join(child.last_lines(15))
    return ServiceFailed(f"the {child.name} process {what}; see {child.log}\n  {lines}")
