"""Every test here runs on SQLite and on a real PostgreSQL server."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from rankscope.storage.database import migrate, open_database, writing
from rankscope.storage.tables import Run
from tests.helpers.postgres import PostgresServer


@pytest.fixture(scope="session")
def migrated_postgres(postgres: PostgresServer) -> str:
    address = postgres.new_database()
    engine = open_database(address)
    migrate(engine)
    engine.dispose()
    return address


@pytest.fixture
def clean_postgres(migrated_postgres: str) -> str:
    """Address of a migrated database without rows; one for all tests, a new one costs seconds."""
    tables = ", ".join(Run.metadata.tables)
    engine = open_database(migrated_postgres)
    with writing(engine) as connection:
        connection.execute(text(f"TRUNCATE {tables} CASCADE"))
    engine.dispose()
    return migrated_postgres


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Address of a database without tables."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/rankscope.db"
    server: PostgresServer = request.getfixturevalue("postgres")
    return server.new_database()


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Address of a migrated database."""
    if request.param == "sqlite":
        address = f"sqlite:///{tmp_path}/rankscope.db"
        engine = open_database(address)
        migrate(engine)
        engine.dispose()
        return address
    return str(request.getfixturevalue("clean_postgres"))


@pytest.fixture
def engine(url: str) -> Iterator[Engine]:
    opened = open_database(url)
    yield opened
    opened.dispose()


@pytest.fixture
def sqlite_engine(tmp_path: Path) -> Iterator[Engine]:
    opened = open_database(f"sqlite:///{tmp_path}/alone.db")
    migrate(opened)
    yield opened
    opened.dispose()
