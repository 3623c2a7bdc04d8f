"""``rankscope up`` as a process of its own, with real Valkey, worker and web process."""

import json
import signal
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import redis

from rankscope.storage.settings import Settings
from tests.helpers.command import CommandLine
from tests.helpers.stack import free_port


@pytest.fixture
def home() -> Iterator[Path]:
    # not tmp_path: a Unix socket's path must be short
    with tempfile.TemporaryDirectory(prefix="rs-", ignore_cleanup_errors=True) as name:
        yield Path(name)


class Up:
    """One ``rankscope up``, its words in a file."""

    def __init__(self, home: Path, *, url: str | None = None) -> None:
        self.home = home
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        environment = {} if url is None else {"REDIS_URL": url}
        self.command = CommandLine(home, **environment)
        self.words = home / "words.txt"
        with self.words.open("wb") as words:
            self.process = subprocess.Popen(
                self.command.command("up", "--port", str(self.port)),
                stdout=words,
                stderr=subprocess.STDOUT,
                env=self.command.environment,
                start_new_session=True,
            )

    def wait_until_said(self, text: str, count: int = 1) -> None:
        self.eventually(lambda: self.words.read_text().count(text) >= count)

    def eventually(self, condition: Callable[[], object]) -> None:
        deadline = time.monotonic() + 120
        while not condition():
            assert time.monotonic() < deadline, self.words.read_text()
            assert self.process.poll() is None, self.words.read_text()
            time.sleep(0.1)

    def pids(self) -> list[int]:
        """In the order they were started: Valkey, worker, web."""
        said: dict[str, Any] = json.loads((self.home / "up.lock").read_text())
        return [pid for pid, _ in said["children"]]

    def children(self) -> list[psutil.Process]:
        return [psutil.Process(pid) for pid in self.pids()]

    def is_well(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/readyz", timeout=5) as answer:  # noqa: S310
                return bool(json.load(answer)["workers"]["alive"])
        except OSError:
            return False

    def end(self) -> int:
        self.process.terminate()
        return self.process.wait(60)


@pytest.fixture
def start(home: Path) -> Iterator[Callable[..., Up]]:
    started: list[Up] = []

    def make(**options: str) -> Up:
        started.append(Up(home, **options))
        return started[-1]

    yield make
    for one in started:
        if one.process.poll() is None:
            one.end()


def test_every_child_that_dies_comes_back_and_the_next_up_ends_what_a_killed_one_left(
    start: Callable[..., Up], home: Path
) -> None:
    killed = start()
    killed.wait_until_said(f"Rankscope is at {killed.url} ")
    killed.eventually(killed.is_well)
    first = killed.children()
    assert Settings(rankscope_home=home).valkey_socket.stat().st_mode & 0o077 == 0
    for name, child in zip(("valkey", "worker", "web"), first, strict=True):
        child.kill()
        killed.wait_until_said(f"{name} was ended by SIGKILL; starting it again")
    pids = {child.pid for child in first}
    killed.eventually(lambda: len(killed.pids()) == 3 and pids.isdisjoint(killed.pids()))
    killed.eventually(killed.is_well)

    left = killed.children()
    killed.process.kill()
    killed.process.wait()
    assert all(child.is_running() for child in left)
    up = start()
    up.wait_until_said("left behind by an up that was killed", 3)
    up.wait_until_said("Rankscope is at")
    assert not any(child.is_running() for child in left)

    refused = CommandLine(home)("up", "--port", str(free_port()), code=2)
    assert f"has one (process {up.process.pid} at {up.url})" in refused.stderr
    other = CommandLine(home / "other")("up", "--port", str(up.port), code=2)
    assert f"{up.port} on 127.0.0.1 is taken; choose another: --port" in other.stderr

    children = up.children()
    assert up.end() == 0
    assert not any(child.is_running() for child in children)
    assert up.words.read_text().rstrip().endswith("ended")


def test_a_given_redis_is_used_and_left_alone(start: Callable[..., Up], valkey: Any) -> None:
    up = start(url=valkey.url)
    up.wait_until_said("Rankscope is at")
    assert len(up.children()) == 2
    assert not (up.home / "valkey").exists()
    up.end()
    with redis.from_url(valkey.url) as client:
        assert client.ping()


def test_a_process_that_fails_at_the_start_shows_its_last_lines(
    start: Callable[..., Up], home: Path
) -> None:
    (home / "valkey").mkdir()
    (home / "valkey" / "appendonlydir").write_text("a file where a folder must be")
    up = start()
    assert up.process.wait(120) == 1
    words = up.words.read_text()
    assert f"the valkey process ended with exit code 1; see {home}/logs/valkey.log" in words
    assert "appendonlydir" in words


def test_an_interrupt_while_everything_starts_ends_what_was_started(
    start: Callable[..., Up], home: Path
) -> None:
    up = start()
    up.eventually(lambda: (home / "up.lock").exists() and (home / "up.lock").stat().st_size)
    children = up.children()
    up.process.send_signal(signal.SIGINT)
    assert up.process.wait(60) == 0
    assert not any(child.is_running() for child in children)


def test_a_network_address_without_accounts_is_refused_before_anything_starts(home: Path) -> None:
    refused = CommandLine(home)("up", "--host", "0.0.0.0", "--port", str(free_port()), code=2)  # noqa: S104
    assert "run: rankscope user add NAME --role admin" in refused.stderr
    assert not (home / "logs").exists()
