"""One ``rankscope up`` per home: a lock that ends with its holder, and who its children are."""

import fcntl
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rankscope.models.reading import ConfigError


def holder_of(home: Path) -> dict[str, Any] | None:
    """What the process that holds a home's lock says of itself; None if none does."""
    try:
        descriptor = os.open(home / "up.lock", os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return HomeLock(home).read()
    finally:
        os.close(descriptor)
    return None


class HomeLock:
    """Holds the lock file of a home from ``take`` to ``release``.

    Args:
        home: The folder.
    """

    def __init__(self, home: Path) -> None:
        self._home = home
        self._file = home / "up.lock"
        self._descriptor: int | None = None

    def take(self) -> dict[str, Any]:
        """Take the lock.

        Returns:
            What the last holder wrote and did not take back: it ended without cleaning up.

        Raises:
            ConfigError: If another process holds it.
        """
        self._home.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self._file, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(descriptor)
            found = self.read()
            raise ConfigError(
                f"only one rankscope up may run on a home, {self._home} has one "
                f"(process {found.get('pid', '?')} at {found.get('url', '?')}); stop it, "
                "or set RANKSCOPE_HOME to another folder"
            ) from error
        self._descriptor = descriptor
        return self.read()

    def write(self, said: Mapping[str, Any]) -> None:
        """Say who holds it."""
        assert self._descriptor is not None
        text = json.dumps(said).encode()
        os.pwrite(self._descriptor, text, 0)
        os.ftruncate(self._descriptor, len(text))

    def release(self) -> None:
        """Let others have it."""
        if self._descriptor is not None:
            os.ftruncate(self._descriptor, 0)
            os.close(self._descriptor)
            self._descriptor = None

    def read(self) -> dict[str, Any]:
        """What the holder wrote; empty if it cannot be read."""
        try:
            found = json.loads(self._file.read_text())
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}
