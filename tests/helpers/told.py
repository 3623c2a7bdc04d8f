"""The door for other people's scripts alone: real database, real HTTP, no pages, quick to start."""

import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Self

import uvicorn
from fastapi import FastAPI

from rankscope.app.api import ingest
from rankscope.app.door.guard import Guard
from rankscope.app.door.origins import Origins
from rankscope.app.door.sessions import Sessions
from rankscope.app.server import problems
from rankscope.storage.database import migrate, open_database
from rankscope.storage.external import ExternalRuns
from rankscope.storage.settings import Settings
from tests.helpers.stack import free_port


class Told:
    """A server that a test starts, stops and starts again at one address, without accounts.

    Args:
        home: For the database.
    """

    def __init__(self, home: Path) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        # nobody listens at Redis' port: the database alone must do
        self.settings = Settings(
            rankscope_home=home,
            database_url=f"sqlite:///{home}/rankscope.db",
            redis_url="redis://127.0.0.1:9/0",
        )
        self.engine = open_database(self.settings.database_url)
        migrate(self.engine)
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Serve until stopped; returns when it answers."""
        app = FastAPI()
        app.state.external_runs = ExternalRuns(self.engine, self.settings)
        problems.add_to(app)
        app.include_router(ingest.router)
        sessions = Sessions(self.engine, "k" * 32, is_open=True, is_https=False)
        origins = Origins(None, "127.0.0.1")
        app.add_middleware(Guard, engine=self.engine, sessions=sessions, origins=origins)
        config = uvicorn.Config(app, port=self.port, log_level="warning", lifespan="off")
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, daemon=True)
        self._thread.start()
        while not self._server.started:
            time.sleep(0.01)

    def stop(self) -> None:
        """Answer no more, open connections included."""
        assert self._server is not None
        assert self._thread is not None
        self._server.force_exit = self._server.should_exit = True
        self._thread.join()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._thread is not None and self._thread.is_alive():
            self.stop()
        self.engine.dispose()
