"""Open a database: SQLite in WAL mode by default, PostgreSQL for teams; one way to write."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.engine.url import URL
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError
from sqlalchemy.pool import ConnectionPoolEntry

from rankscope.storage.errors import UnusableDatabaseError

BUSY_TIMEOUT_S = 5.0
"""How long SQLite waits for another writer before it says "locked"; the sink then tries again."""
CONNECT_TIMEOUT_S = 5
_SECRET_QUERY_KEYS = frozenset({"password", "sslpassword", "passfile"})
_WRITES = "rankscope_writes"


def open_database(url: str, *, busy_timeout_s: float = BUSY_TIMEOUT_S) -> Engine:
    """Open a database and make sure that it answers; SQLite files and their folders are created.

    SQLite runs with ``synchronous=NORMAL``: a crash of the process loses nothing that was
    committed, a power cut may lose the last transactions but never corrupts the file.

    Args:
        url: As ``Settings.database_url``.
        busy_timeout_s: How long a SQLite statement waits for another writer.

    Raises:
        UnusableDatabaseError: If the address makes no sense or nothing answers there.
    """
    parsed = _parse(url)
    try:
        if parsed.get_backend_name() == "sqlite":
            engine = _sqlite(parsed, busy_timeout_s)
        else:
            engine = _postgres(parsed)
        with engine.connect():
            pass
    except (DBAPIError, sqlite3.Error, OSError) as error:
        raise unreachable(parsed, error) from error
    except ModuleNotFoundError as error:
        raise UnusableDatabaseError(
            f"PostgreSQL needs its driver, {error.name} is not installed; "
            "run: pip install 'rankscope[postgres]'"
        ) from error
    return engine


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """One transaction that writes: commits at the end, rolls back on an exception.

    On SQLite it takes the write lock at once (``BEGIN IMMEDIATE``): a transaction that reads first
    and writes later would be refused without waiting when another one wrote in between.
    """
    with engine.connect().execution_options(**{_WRITES: True}) as connection, connection.begin():
        yield connection


@contextmanager
def reshaping(engine: Engine) -> Iterator[Connection]:
    """As :func:`writing`, for changes of tables that others refer to.

    SQLite changes many things by a new table in the old one's place, and dropping the old one would
    delete what refers to its rows: foreign keys are checked at the end instead.

    Raises:
        DBAPIError: If a row then refers to none; nothing was changed.
    """
    is_sqlite = engine.dialect.name == "sqlite"
    with engine.connect().execution_options(**{_WRITES: True}) as connection:
        if is_sqlite:
            _enforce_foreign_keys(connection, "OFF")
        try:
            with connection.begin():
                yield connection
                if is_sqlite and connection.exec_driver_sql("PRAGMA foreign_key_check").first():
                    cause = sqlite3.IntegrityError("a changed table left rows that refer to none")
                    raise IntegrityError(None, None, cause)
        finally:
            if is_sqlite:
                _enforce_foreign_keys(connection, "ON")


def _enforce_foreign_keys(connection: Connection, state: str) -> None:
    """Past SQLAlchemy, which would begin a transaction: within one SQLite ignores it."""
    driver = connection.connection.driver_connection
    assert isinstance(driver, sqlite3.Connection)
    driver.execute(f"PRAGMA foreign_keys={state}")


def migrate(engine: Engine) -> None:
    """Bring the schema to this version's; safe when several processes start at once.

    Raises:
        NewerDatabaseError: If a newer version of Rankscope made the schema.
        UnusableDatabaseError: If the database refuses the change.
    """
    # alembic takes 0.2 s to import, and only who starts a database needs it
    from rankscope.storage.migrating import upgrade

    try:
        with reshaping(engine) as connection:
            upgrade(connection, safe_url(engine.url.render_as_string(hide_password=False)))
    except DBAPIError as error:
        raise unreachable(engine.url, error) from error


def safe_url(url: str) -> str:
    """The address with its password hidden; an unreadable one is hidden whole."""
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        return "(an unreadable address)"
    hidden = {key: "hidden" for key in parsed.query if key.lower() in _SECRET_QUERY_KEYS}
    return parsed.update_query_dict(hidden).render_as_string(hide_password=True)


def is_transient(error: DBAPIError) -> bool:
    """Whether the same statement may succeed later: a lock, a lost connection, a server restart."""
    cause = error.orig
    if isinstance(cause, sqlite3.Error):
        code = getattr(cause, "sqlite_errorcode", 0) & 0xFF
        return code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
    state = getattr(cause, "sqlstate", None)
    if state is None:
        return type(cause).__name__ in ("OperationalError", "ConnectionTimeout")
    # 08 connection, 40 conflict with another transaction, 57P0x server stops or starts,
    # 53300 too many connections, 55P03 lock not available
    return state.startswith(("08", "40", "57P0")) or state in ("53300", "55P03")


def unreachable(url: URL, error: BaseException) -> UnusableDatabaseError:
    """One line for a database that does not answer or refuses."""
    cause = error.orig if isinstance(error, DBAPIError) and error.orig else error
    reason = " ".join(str(cause).split()) or type(cause).__name__
    if url.password:
        reason = reason.replace(str(url.password), "***")
    shown = safe_url(url.render_as_string(hide_password=False))
    return UnusableDatabaseError(
        f"the database must be reachable and writable, got {shown} ({reason}); "
        "start it, free its disk, or correct DATABASE_URL"
    )


def _parse(url: str) -> URL:
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError) as error:
        raise UnusableDatabaseError(
            "DATABASE_URL must read sqlite:///FILE or postgresql://USER:PASSWORD@HOST/NAME, "
            "got an unreadable address; correct it"
        ) from error
    if parsed.drivername in ("postgres", "postgresql"):
        parsed = parsed.set(drivername="postgresql+psycopg")
    known = parsed.drivername in ("postgresql+psycopg", "sqlite", "sqlite+pysqlite")
    in_memory = parsed.get_backend_name() == "sqlite" and parsed.database in (None, "", ":memory:")
    if not known or in_memory:
        raise UnusableDatabaseError(
            "DATABASE_URL must read sqlite:///FILE or postgresql://USER:PASSWORD@HOST/NAME, "
            f"got {safe_url(url)}; correct it"
        )
    return parsed


def _postgres(url: URL) -> Engine:
    return create_engine(
        url,
        pool_pre_ping=True,
        connect_args={
            "connect_timeout": CONNECT_TIMEOUT_S,
            "application_name": "rankscope",
            # a host that vanished is noticed within half a minute, not after two hours
            "keepalives_idle": 10,
            "keepalives_interval": 5,
            "keepalives_count": 3,
            "tcp_user_timeout": 30_000,
        },
    )


def _sqlite(url: URL, busy_timeout_s: float) -> Engine:
    file = Path(str(url.database)).expanduser()
    file.parent.mkdir(parents=True, exist_ok=True)
    _switch_to_wal(file, busy_timeout_s)
    engine = create_engine(url.set(database=str(file)), connect_args={"timeout": busy_timeout_s})
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _switch_to_wal(file: Path, busy_timeout_s: float) -> None:
    """WAL is a property of the file; of two that switch at once one is refused without any wait."""
    deadline = time.monotonic() + busy_timeout_s
    while True:
        connection = sqlite3.connect(file, timeout=busy_timeout_s)
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.02)
        else:
            return
        finally:
            connection.close()


def _prepare_sqlite(connection: DBAPIConnection, entry: ConnectionPoolEntry) -> None:
    del entry
    # the driver must not begin transactions by itself: _begin_sqlite does, with the right lock
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    options: dict[str, Any] = dict(connection.get_execution_options())
    connection.exec_driver_sql("BEGIN IMMEDIATE" if options.get(_WRITES) else "BEGIN")
