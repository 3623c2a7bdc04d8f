"""Rankscope as a team runs it: web, worker and Redis as processes that a test stops and starts."""

import json
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from sqlalchemy import Engine

from rankscope.storage.database import migrate, open_database
from rankscope.storage.settings import Settings
from tests.helpers.command import CommandLine
from tests.helpers.valkey import ValkeyServer

READY_S = 60.0
"""Imports on two busy cores take long."""


class Stack:
    """One home with its processes; each one's output is a file in ``home/logs``.

    Used as a context manager: web and worker run inside, all is gone afterwards.

    Args:
        home: Short path, for Redis' socket lies in it.
        database_url: Another database than SQLite in ``home``.
        num_slots: Runs at once; 0 starts no worker.
        environment: More variables for all processes.
    """

    def __init__(
        self,
        home: Path,
        *,
        database_url: str | None = None,
        num_slots: int = 2,
        environment: dict[str, str] | None = None,
    ) -> None:
        self.home = home
        self.redis = ValkeyServer(home / "redis")
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        addresses = {"REDIS_URL": self.redis.url}
        if database_url is not None:
            addresses["DATABASE_URL"] = database_url
        self.command = CommandLine(home, **addresses, **(environment or {}))
        self.settings = Settings(
            rankscope_home=home,
            database_url=database_url or f"sqlite:///{home}/rankscope.db",
            redis_url=self.redis.url,
        )
        self.engine: Engine = open_database(self.settings.database_url)
        self._num_slots = num_slots
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def create_database(self) -> None:
        """Make the tables, for who needs them before anything runs."""
        self.home.mkdir(parents=True, exist_ok=True)
        migrate(self.engine)

    def __enter__(self) -> Self:
        try:
            self.create_database()
            self.redis.start()
            self.start_web()
            if self._num_slots:
                self.start_worker()
                self.wait_for_workers(1)
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end()

    @property
    def logs(self) -> Path:
        """Folder of the processes' output."""
        return self.home / "logs"

    def start_web(self) -> None:
        """Start the web process and wait until it is ready."""
        self._start("web", "web", "--port", str(self.port))
        deadline = time.monotonic() + READY_S
        while self.get("/readyz")[0] != 200:
            self._insist_on("web", deadline)
            time.sleep(0.1)

    def start_worker(self) -> None:
        """Start a worker and go on."""
        self._start("worker", "worker", "--slots", str(self._num_slots))

    def wait_for_workers(self, num_alive: int) -> None:
        """Wait until so many workers are seen."""
        deadline = time.monotonic() + READY_S
        while self.get("/readyz")[1].get("workers", {}).get("alive") != num_alive:
            if num_alive:
                self._insist_on("worker", deadline)
            assert time.monotonic() < deadline, f"not {num_alive} workers: {self.get('/readyz')}"
            time.sleep(0.1)

    def stop(self, name: str) -> None:
        """Ask a process to end and wait; one that does not is killed."""
        process = self._processes.pop(name)
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def kill(self, name: str) -> None:
        """End a process that can say nothing about it any more."""
        process = self._processes.pop(name)
        process.kill()
        process.wait()

    def get(self, path: str, cookie: str = "") -> tuple[int, Any]:
        """Status and JSON of an answer; 0 where nobody answers."""
        request = urllib.request.Request(self.url + path, headers={"Cookie": cookie})  # noqa: S310
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.loads(error.read() or b"null")
        except OSError:
            return 0, {}

    def _end(self) -> None:
        for name in tuple(self._processes):
            self.stop(name)
        self.redis.stop()
        self.engine.dispose()

    def _start(self, name: str, *arguments: str) -> None:
        self.logs.mkdir(exist_ok=True)
        with (self.logs / f"{name}.txt").open("ab") as log:
            self._processes[name] = subprocess.Popen(
                self.command.command(*arguments),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self.command.environment,
                start_new_session=True,
            )

    def _insist_on(self, name: str, deadline: float) -> None:
        code = self._processes[name].poll()
        if code is not None or time.monotonic() > deadline:
            said = (self.logs / f"{name}.txt").read_text(errors="replace")[-4000:]
            raise AssertionError(f"{name} is not ready (exit status {code}): {said}")


def free_port() -> int:
    """A TCP port of the loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
