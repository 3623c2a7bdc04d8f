"""Where Redis answers, in the two spellings that its clients want; nothing here connects."""

import hashlib
import os
import tempfile
from pathlib import Path
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

from rankscope.storage.errors import UnusableRedisError

MAX_SOCKET_PATH_BYTES = 100
"""Linux takes 107, macOS 103 bytes; the server adds a few for the file it prepares."""
_SCHEMES = ("redis", "rediss", "unix")
_SECRET_QUERY_KEYS = frozenset({"password", "ssl_password"})


def private_socket(home: Path) -> Path:
    """Unix socket of the server that ``rankscope up`` starts for a home folder.

    It lies in the home, or where that path is too long for a socket in a folder of its own under
    the system's temporary folder, which whoever starts the server makes with mode 0700.
    """
    absolute = home.expanduser().absolute()
    socket = absolute / "valkey.sock"
    if len(os.fsencode(socket)) <= MAX_SOCKET_PATH_BYTES:
        return socket
    name = hashlib.sha256(os.fsencode(absolute)).hexdigest()[:12]
    return Path(tempfile.gettempdir()) / f"rankscope-{os.getuid()}-{name}" / "valkey.sock"


def socket_url(socket: Path) -> str:
    """A Unix socket as redis-py spells it."""
    return f"unix://{quote(str(socket))}"


def checked(url: str) -> str:
    """The address, if it can be one.

    Raises:
        UnusableRedisError: If it names no server.
    """
    try:
        parts = urlsplit(url)
        _ = parts.port  # refuses one that is no number
    except ValueError:
        parts = urlsplit("")
    place = parts.path if parts.scheme == "unix" else parts.hostname
    if parts.scheme in _SCHEMES and place:
        return url
    raise UnusableRedisError(
        "REDIS_URL must read redis://HOST:PORT/NUMBER, rediss://... or unix:///PATH, "
        f"got {without_password(url)}; correct it"
    )


def broker_url(url: str) -> str:
    """The same server as Celery's transport spells it; only Unix sockets differ."""
    parts = urlsplit(url)
    if parts.scheme != "unix":
        return url
    # "virtual_host" is kombu's word for the number of the database
    query = [("virtual_host" if key == "db" else key, value) for key, value in _query(url)]
    # not urlunsplit: it leaves out the // where no host follows
    address = f"redis+socket://{parts.netloc}{parts.path}"
    return f"{address}?{urlencode(query)}" if query else address


def without_password(url: str) -> str:
    """The address with its password hidden; an unreadable one is hidden whole."""
    try:
        parts = urlsplit(url)
        password = parts.password
    except ValueError:
        return "(an unreadable address)"
    if parts.scheme not in _SCHEMES:
        return "(an unreadable address)"
    netloc = parts.netloc
    if password is not None:
        netloc = f"{parts.username or ''}:***@{netloc.rpartition('@')[2]}"
    hidden = [(key, "***" if key in _SECRET_QUERY_KEYS else value) for key, value in _query(url)]
    return urlunsplit((parts.scheme, netloc, parts.path, urlencode(hidden, safe="*"), ""))


def _query(url: str) -> list[tuple[str, str]]:
    return parse_qsl(urlsplit(url).query, keep_blank_values=True)
