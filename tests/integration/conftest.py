"""A real PostgreSQL server for whoever asks."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.postgres import PostgresServer


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    # not tmp_path: a Unix socket's path must be short and open to the server's user
    folder = tempfile.TemporaryDirectory(prefix="rankscope-pg-", ignore_cleanup_errors=True)
    with folder as name, PostgresServer(Path(name)) as server:
        yield server
