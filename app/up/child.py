"""A process that belongs to this one: output in a log file, brought back when it dies."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import psutil

MAX_LOG_BYTES = 10_000_000
FIRST_PAUSE_S, MAX_PAUSE_S = 0.5, 15.0
HEALTHY_AFTER_S = 30.0
"""Who lived that long begins again with the shortest pause."""


class Child:
    """One process; ``start`` it, ``tend`` it now and then, ``stop`` it.

    It gets a session of its own, so that Ctrl-C at a terminal reaches its parent alone, and the
    parent ends its children in the right order.

    Args:
        name: What people and the log file call it.
        command: Argument list.
        environment: All variables it sees.
        log: File that collects its output.
        say: Tells people what happens.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        environment: Mapping[str, str],
        log: Path,
        say: Callable[[str], None],
    ) -> None:
        self.name = name
        self.log = log
        self._command = list(command)
        self._environment = dict(environment)
        self._say = say
        self._process: subprocess.Popen[bytes] | None = None
        self._started_at = 0.0
        self._pause_s = FIRST_PAUSE_S
        self._start_again_at: float | None = None
        self.num_ends = 0

    def start(self) -> None:
        """Start the process."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        if self.log.exists() and self.log.stat().st_size > MAX_LOG_BYTES:
            self.log.replace(self.log.with_suffix(".old.log"))
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=self._environment,
                start_new_session=True,
            )
        self._started_at = time.monotonic()
        self._start_again_at = None

    def tend(self) -> bool:
        """Bring the process back if it died and its pause is over.

        Returns:
            Whether it was started again just now.
        """
        now = time.monotonic()
        if self._start_again_at is not None:
            if now < self._start_again_at:
                return False
            self.start()
            return True
        if self.has_ended():
            self.num_ends += 1
            if now - self._started_at > HEALTHY_AFTER_S:
                self._pause_s = FIRST_PAUSE_S
            self._say(f"{self.name} {self.how_it_ended()}; starting it again, see {self.log}")
            self._start_again_at = now + self._pause_s
            self._pause_s = min(2 * self._pause_s, MAX_PAUSE_S)
        return False

    def stop(self, patience_s: float) -> None:
        """Ask the process to end, and end it when it takes too long."""
        self._start_again_at = None
        process = self._process
        if process is None or process.poll() is not None:
            return
        process.terminate()
        try:
            process.wait(patience_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def has_ended(self) -> bool:
        """Whether the process is no more."""
        return self._process is not None and self._process.poll() is not None

    def how_it_ended(self) -> str:
        """In words."""
        code = self._process.poll() if self._process else None
        if code is None:
            return "does not answer"
        if code < 0:
            return f"was ended by {signal.Signals(-code).name}"
        return f"ended with exit code {code}"

    def identity(self) -> tuple[int, float] | None:
        """Process id and moment of its start; None if it does not run."""
        if self._process is None or self._process.poll() is not None:
            return None
        return started_at(self._process.pid)

    def last_lines(self, count: int) -> list[str]:
        """The end of its log."""
        try:
            with self.log.open("rb") as opened:
                opened.seek(max(0, self.log.stat().st_size - 20_000))
                text = opened.read().decode("utf-8", "replace")
        except OSError:
            return []
        return [line for line in text.splitlines() if line.strip()][-count:]


def started_at(pid: int) -> tuple[int, float] | None:
    """The process id with the moment of its start, which tells it from a later namesake."""
    try:
        return pid, psutil.Process(pid).create_time()
    except psutil.NoSuchProcess:
        return None


def end_leftover(pid: int, moment: float, patience_s: float) -> bool:
    """End a process that an earlier parent left behind; False if it is gone already."""
    found = started_at(pid)
    if found is None or abs(found[1] - moment) > 1.0:
        return False
    try:
        process = psutil.Process(pid)
        os.kill(pid, signal.SIGTERM)
        try:
            process.wait(patience_s)
        except psutil.TimeoutExpired:
            process.kill()
            process.wait(patience_s)
    except (psutil.NoSuchProcess, ProcessLookupError):
        pass
    return True
