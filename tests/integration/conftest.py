"""A real PostgreSQL and a real Valkey server for whoever asks."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.postgres import PostgresServer
from tests.helpers.valkey import ValkeyServer


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    # not tmp_path: a Unix socket's path must be short and open to the server's user
    folder = tempfile.TemporaryDirectory(prefix="rankscope-pg-", ignore_cleanup_errors=True)
    with folder as name, PostgresServer(Path(name)) as server:
        yield server


@pytest.fixture(scope="session")
def valkey() -> Iterator[ValkeyServer]:
    """One server for the whole session; who stops it starts it again."""
    # not tmp_path: a Unix socket's path must be short
    with tempfile.TemporaryDirectory(prefix="rankscope-vk-") as name, ValkeyServer(Path(name)) as s:
        yield s
