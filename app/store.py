"""The database as a command finds it: of this version's schema, dead runs closed."""

from datetime import UTC, datetime

from sqlalchemy import Engine

from rankscope.storage.database import migrate, open_database
from rankscope.storage.runs import fail_abandoned_foreground_runs
from rankscope.storage.settings import Settings
from rankscope.storage.tables import BenchmarkEvaluation, Run


def open_store(settings: Settings) -> Engine:
    """Open and migrate the database, and close foreground jobs whose process is gone."""
    engine = open_database(settings.database_url)
    migrate(engine)
    for job in (Run, BenchmarkEvaluation):
        fail_abandoned_foreground_runs(engine, datetime.now(UTC), job)
    return engine
