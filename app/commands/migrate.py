"""``rankscope migrate``: bring the database to this version, before any process needs it."""

from rankscope.app.terminal import out
from rankscope.storage.database import migrate as migrate_database
from rankscope.storage.database import open_database
from rankscope.storage.settings import Settings


def migrate() -> None:
    """Bring the database to this version; done twice it is done once (every command does it)."""
    settings = Settings()
    migrate_database(open_database(settings.database_url))
    out.print(f"{settings.safe_url} is at this version", markup=False)
