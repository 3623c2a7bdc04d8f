"""Run alembic from the program; there is no alembic.ini and no command to forget."""

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from rankscope.storage.errors import NewerDatabaseError

_LOCK = 0x52414E4B
"""Key of PostgreSQL's advisory lock: "RANK" in ASCII."""


def upgrade(connection: Connection, shown_url: str) -> None:
    """Upgrade within the caller's transaction, one process at a time.

    SQLite: the caller's transaction already holds the write lock. PostgreSQL: an advisory lock
        until
    the end of the transaction. Who waited finds the work done.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
    config = alembic_config(connection)
    known = {revision.revision for revision in ScriptDirectory.from_config(config).walk_revisions()}
    current = MigrationContext.configure(connection).get_current_revision()
    if current is not None and current not in known:
        raise NewerDatabaseError(
            f"the database must not be newer than this Rankscope, got revision {current!r} "
            f"in {shown_url}; upgrade Rankscope or name another DATABASE_URL"
        )
    command.upgrade(config, "head")


def alembic_config(connection: Connection) -> Config:
    """Alembic's configuration for an open connection."""
    config = Config()
    config.set_main_option("script_location", "rankscope.storage:migrations")
    config.attributes["connection"] = connection
    return config
