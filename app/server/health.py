"""Is the process alive, is it ready, and what does not answer: asked of a cache, never waiting."""

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any, NamedTuple

import redis
from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse
from redis.exceptions import RedisError
from sqlalchemy import Engine, text
from sqlalchemy.exc import SQLAlchemyError

from rankscope.app.door.identity import Person, viewer
from rankscope.app.door.sessions import Sessions
from rankscope.storage.settings import Settings
from rankscope.storage.workers import list_workers

ROUTER = APIRouter()
PERIOD_S = 1.5
ANSWER_S = 2.0
"""What takes longer counts as not answering: noticed after at most PERIOD_S + ANSWER_S = 3.5 s."""


class Workers(NamedTuple):
    """The workers as the database knew them at the last look."""

    alive: int = 0
    num_slots: int = 0
    num_busy: int = 0
    youngest_seen_s: float | None = None


class Pulse:
    """Asks again and again, in a thread of its own, whether something answers.

    A check that hangs keeps its thread and nothing else; whoever reads sees that it began long
    ago and has not ended, and when it ends at last, the next check tells that all is well again.

    Args:
        name: What people call it.
        check: Asks once; raises ``OSError``, ``RedisError`` or ``SQLAlchemyError`` if in vain.
        consequence: What it means to people when it does not answer.
    """

    def __init__(self, name: str, check: Callable[[], None], consequence: str) -> None:
        self._name = name
        self._check = check
        self._consequence = consequence
        self._stopped = threading.Event()
        self._began_at: float | None = None
        self._failed_since: float | None = None
        self._has_answered = False
        self._thread = threading.Thread(target=self._beat, name=f"pulse of {name}", daemon=True)

    def start(self) -> None:
        """Begin to ask."""
        self._thread.start()

    def stop(self) -> None:
        """Ask no more; a check that hangs is left behind."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join(ANSWER_S)

    def answers(self) -> dict[str, Any]:
        """``{"ok": bool, "message": str}``."""
        now, began_at, since = time.monotonic(), self._began_at, self._failed_since
        if since is None and began_at is not None and now - began_at > ANSWER_S:
            since = began_at
        if since is not None:
            silent = f"{self._name} does not answer, for {now - since:.0f} s now"
            return {"ok": False, "message": f"{silent}; {self._consequence}"}
        if not self._has_answered:
            return {"ok": False, "message": f"{self._name} has not been asked yet"}
        return {"ok": True, "message": ""}

    def _beat(self) -> None:
        while not self._stopped.is_set():
            self._began_at = began_at = time.monotonic()
            try:
                self._check()
            except (OSError, RedisError, SQLAlchemyError):
                self._failed_since = self._failed_since or began_at
            else:
                self._failed_since = None
                self._has_answered = True
            self._began_at = None
            self._stopped.wait(PERIOD_S)


class Health:
    """Looks after database, Redis and workers, and keeps the accounts of ``sessions`` fresh."""

    def __init__(self, engine: Engine, settings: Settings, sessions: Sessions) -> None:
        self._engine = engine
        self._sessions = sessions
        self._workers = Workers()
        self._looked_at = time.monotonic()
        self._redis = redis.Redis.from_url(
            settings.live_url, socket_timeout=ANSWER_S, socket_connect_timeout=ANSWER_S
        )
        self._pulses = {
            "database": Pulse(
                "The database",
                self._ask_database,
                "training goes on and is recorded later, pages show what they had",
            ),
            "redis": Pulse(
                "Redis",
                self._ask_redis,
                "training and queue go on, pages follow every few seconds only",
            ),
        }

    def start(self) -> None:
        """Begin to look."""
        for pulse in self._pulses.values():
            pulse.start()

    def stop(self) -> None:
        """Look no more."""
        for pulse in self._pulses.values():
            pulse.stop()
        self._redis.close()

    def status(self) -> dict[str, Any]:
        """What answers, as of the last look."""
        workers = self._workers._asdict()
        if self._workers.youngest_seen_s is not None:
            workers["youngest_seen_s"] += time.monotonic() - self._looked_at
        answers = {name: pulse.answers() for name, pulse in self._pulses.items()}
        return {**answers, "workers": workers, "version": version("rankscope"), "now": time.time()}

    def _ask_database(self) -> None:
        with self._engine.connect() as connection:
            connection.execute(text("SELECT version_num FROM alembic_version")).one()
        self._sessions.refresh()
        rows = list_workers(self._engine, datetime.now(UTC))
        alive = [row for row in rows if row.is_alive]
        self._workers = Workers(
            alive=len(alive),
            num_slots=sum(row.num_slots for row in alive),
            num_busy=sum(row.num_busy for row in alive),
            youngest_seen_s=min((row.seen_s for row in rows), default=None),
        )
        self._looked_at = time.monotonic()

    def _ask_redis(self) -> None:
        self._redis.ping()


@ROUTER.get("/healthz")
async def healthz() -> dict[str, bool]:
    """The process is alive."""
    return {"ok": True}


@ROUTER.get("/readyz")
async def readyz(request: Request) -> JSONResponse:
    """200 when database and Redis answer, else 503; the same JSON as the status."""
    status = request.app.state.health.status()
    is_ready = status["database"]["ok"] and status["redis"]["ok"]
    return JSONResponse(status, 200 if is_ready else 503)


@ROUTER.get("/api/status", dependencies=[Depends(viewer)])
async def read_status(request: Request) -> dict[str, Any]:
    """What answers; from the cache, so it comes even while the database hangs."""
    status: dict[str, Any] = request.app.state.health.status()
    return status


@ROUTER.get("/api/session")
async def read_session(request: Request, person: Person = Depends(viewer)) -> dict[str, Any]:  # noqa: B008
    """Who is asking and what it may do."""
    return {
        "name": person.name,
        "role": person.role,
        "can_operate": person.can_operate,
        "needs_sign_in": request.app.state.sessions.needs_sign_in,
    }
