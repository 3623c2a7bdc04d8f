"""The live path for real: a sink, Valkey, and a web server with pages that watch."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from rankscope.storage.database import migrate, open_database
from rankscope.storage.settings import Settings
from tests.helpers.valkey import ValkeyServer
from tests.integration.live.serving import LiveServer


@pytest.fixture
def settings(tmp_path: Path, valkey: ValkeyServer) -> Settings:
    valkey.flush()
    return Settings(
        rankscope_home=tmp_path,
        database_url=f"sqlite:///{tmp_path}/rankscope.db",
        redis_url=valkey.url,
    )


@pytest.fixture
def engine(settings: Settings) -> Iterator[Engine]:
    opened = open_database(settings.database_url)
    migrate(opened)
    yield opened
    opened.dispose()


@pytest.fixture
def server(engine: Engine, settings: Settings) -> Iterator[LiveServer]:
    with LiveServer(engine, settings) as running:
        yield running
