"""The live part of the web application on a port of its own, without pages and sign-in."""

import socket
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Self

import uvicorn
from fastapi import FastAPI
from sqlalchemy import Engine

from rankscope.app.api.live import router
from rankscope.app.door.identity import Person, viewer
from rankscope.app.live import Hub
from rankscope.app.pages.contract import Site
from rankscope.app.server import problems
from rankscope.storage.settings import Settings
from rankscope.tasks.client import Answers


class LiveServer:
    """Serves in a thread; may be stopped and started again at the same address."""

    def __init__(self, engine: Engine, settings: Settings) -> None:
        self._site = Site(engine, settings, Answers())
        with socket.create_server(("127.0.0.1", 0)) as free:
            self._port: int = free.getsockname()[1]
        self.hub: Hub

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._port}"

    def start(self) -> None:
        @asynccontextmanager
        async def lifespan(app: FastAPI) -> AsyncIterator[None]:
            self.hub = app.state.hub = Hub(self._site.engine, self._site.settings)
            await self.hub.start()
            yield
            await self.hub.stop()

        app = FastAPI(lifespan=lifespan)
        app.state.site = self._site
        app.dependency_overrides[viewer] = lambda: Person("ada", "viewer")
        app.include_router(router)
        problems.add_to(app)
        config = uvicorn.Config(
            app,
            port=self._port,
            log_level="warning",
            ws="websockets-sansio",
            ws_per_message_deflate=False,
            timeout_graceful_shutdown=1,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run)
        self._thread.start()
        deadline = time.monotonic() + 20
        while not self._server.started:
            assert time.monotonic() < deadline
            time.sleep(0.01)

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
