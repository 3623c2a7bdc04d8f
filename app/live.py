"""The live hub: one reader per watched run, whoever and however many watch it.

A run's viewers share one blocked read of its stream; what comes is put together for a tenth of a
second, written as text once and handed to all. Redis and the database may go away and come back:
viewers are told so by the beat and stay.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress

import structlog
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from rankscope.app.page_texts import PageTexts
from rankscope.storage.live import RELOAD, to_json
from rankscope.storage.pulse import Pulse, pulses
from rankscope.storage.settings import Settings
from rankscope.storage.stream import AWAY, Entry, Tail, is_whole

log = structlog.get_logger()

COALESCE_S = 0.1
BEAT_S = 2.0
_LOOK_S = 1.5
"""A database that does not answer within it is said to be away."""
_BLOCK_MS = 400
"""How long one read waits; a viewer that joins a quiet run waits as long for what it missed."""
_FIRST_RETRY_S, _LONGEST_RETRY_S = 0.1, 1.0
_MAX_WAITING = 64
"""Messages that a viewer may be behind, some seconds of a busy run."""

UNKNOWN_RUN_CODE, RESTART_CODE, TOO_SLOW_CODE = 4404, 1012, 1013
"""Close codes of a WebSocket; after the last two a page connects again from its last event."""


class Viewer:
    """One open page: the messages that wait for it, and why it was closed."""

    def __init__(self, cursor: int) -> None:
        self.cursor = cursor
        self.is_new = True
        self.close_code: int | None = None
        self._waiting: asyncio.Queue[str] = asyncio.Queue(_MAX_WAITING)
        self._closed = asyncio.Event()

    def send(self, text: str) -> None:
        """Queue a message; a viewer that is too far behind is closed instead."""
        if self.close_code is None:
            try:
                self._waiting.put_nowait(text)
            except asyncio.QueueFull:
                self.close(TOO_SLOW_CODE)

    def close(self, code: int) -> None:
        """End it; what waits is dropped."""
        if self.close_code is None:
            self.close_code = code
            self._closed.set()

    async def closed(self) -> None:
        """Wait until it has been closed."""
        await self._closed.wait()

    async def messages(self) -> AsyncIterator[str]:
        """What to send to the page, in order, for ever."""
        while True:
            yield await self._waiting.get()


class Hub:
    """Everybody who watches, in one event loop.

    Args:
        engine: The database, for history and beat.
        settings: Where Redis is.
    """

    def __init__(self, engine: Engine, settings: Settings) -> None:
        self.pages = PageTexts(engine)
        self._engine = engine
        self._tail = Tail(settings.live_url)
        self._feeds: dict[str, _Feed] = {}
        self._newcomer = asyncio.Event()
        self._looking: asyncio.Future[dict[str, Pulse]] | None = None
        self._asked: frozenset[str] = frozenset()
        self._pulses: dict[str, Pulse] = {}
        self._has_database = True
        self._thread = ThreadPoolExecutor(1, "hub")
        self._beats: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to beat."""
        self._beats = asyncio.create_task(self._beat_for_ever(), name="beats")

    async def stop(self) -> None:
        """Close all viewers, so that they connect again to the next server, and end all tasks."""
        tasks = [feed.task for feed in self._feeds.values()]
        tasks += [self._beats] if self._beats else []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._thread.shutdown(wait=False, cancel_futures=True)
        await self._tail.close()

    @asynccontextmanager
    async def watch(self, run_id: str, cursor: int) -> AsyncIterator[Viewer]:
        """Take part in a run's messages while inside.

        Args:
            run_id: The run.
            cursor: Id of the last event that the page shows; every later one comes once, or a
                message to reload comes in its place.
        """
        viewer = Viewer(cursor)
        feed = self._feeds.get(run_id)
        if feed is None or feed.task.done():
            feed = self._feeds[run_id] = _Feed(run_id, self._tail)
        feed.newcomers.append(viewer)
        self._newcomer.set()
        try:
            yield viewer
        finally:
            feed.forget(viewer)

    # --- beats --------------------------------------------------------------------------------

    async def _beat_for_ever(self) -> None:
        next_s = 0.0
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._newcomer.wait(), max(0.0, next_s - time.monotonic()))
            self._newcomer.clear()
            is_due = time.monotonic() >= next_s
            if is_due:
                next_s = time.monotonic() + BEAT_S
            self._feeds = {run: feed for run, feed in self._feeds.items() if not feed.task.done()}
            if self._feeds:
                await self._look()
                for feed in self._feeds.values():
                    self._beat(feed, is_due=is_due)

    async def _look(self) -> None:
        """Ask the database how the watched runs stand, without waiting for it for long."""
        if self._looking is None:
            self._asked = frozenset(self._feeds)
            self._looking = asyncio.get_running_loop().run_in_executor(
                self._thread, pulses, self._engine, list(self._asked)
            )
        await asyncio.wait([self._looking], timeout=_LOOK_S)
        if not self._looking.done():
            self._has_database = False
            return
        try:
            self._pulses, self._has_database = self._looking.result(), True
        except (DBAPIError, PoolTimeoutError):
            self._has_database = False
        self._looking = None

    def _beat(self, feed: "_Feed", *, is_due: bool) -> None:
        pulse = self._pulses.get(feed.run_id)
        if pulse is None and self._has_database:
            if feed.run_id in self._asked:
                feed.close(UNKNOWN_RUN_CODE)
            else:  # it came while the look was under way
                self._newcomer.set()
            return
        text = self._beat_text(pulse, has_redis=feed.has_redis)
        for viewer in feed.all_viewers():
            if is_due or viewer.is_new:
                viewer.is_new = False
                viewer.send(text)

    def _beat_text(self, pulse: Pulse | None, *, has_redis: bool) -> str:
        now = time.time()
        seen_at = pulse.worker_seen_at if pulse else None
        return to_json(
            {
                "t": "beat",
                "now": now,
                "run": pulse.run if pulse else None,
                "redis": has_redis,
                "database": self._has_database,
                "worker_seen_s": None if seen_at is None else max(0.0, now - seen_at),
            }
        )


class _Feed:
    """The one reader of a run's stream; ends by itself when nobody watches."""

    def __init__(self, run_id: str, tail: Tail) -> None:
        self.run_id = run_id
        self.newcomers: list[Viewer] = []
        self.has_redis = True
        self._tail = tail
        self._viewers: set[Viewer] = set()
        self._position: int | None = None
        self.task = asyncio.create_task(self._read(), name=f"feed-{run_id}")

    def all_viewers(self) -> list[Viewer]:
        """Those who follow, and those who still wait for what they missed."""
        return [*self._viewers, *self.newcomers]

    def forget(self, viewer: Viewer) -> None:
        """A page was closed."""
        self._viewers.discard(viewer)
        if viewer in self.newcomers:
            self.newcomers.remove(viewer)

    def close(self, code: int) -> None:
        """Close all viewers."""
        for viewer in self.all_viewers():
            viewer.close(code)

    async def _read(self) -> None:
        try:
            await self._read_for_ever()
        finally:  # whatever ended it, nobody is left before a page that stands still
            self.close(RESTART_CODE)

    async def _read_for_ever(self) -> None:
        retry_s = 0.0
        await asyncio.sleep(0)  # the first viewer joins after the task was made
        while self._viewers or self.newcomers:
            try:
                if self._position is None:
                    self._position = await self._tail.last(self.run_id)
                await self._admit()
                block_ms = 0 if self.newcomers else _BLOCK_MS
                entries = await self._tail.read(self.run_id, self._position, block_ms=block_ms)
            except AWAY:
                self.has_redis = False
                retry_s = min(max(2 * retry_s, _FIRST_RETRY_S), _LONGEST_RETRY_S)
                await asyncio.sleep(retry_s)
                continue
            self.has_redis, retry_s = True, 0.0
            if entries:
                _hand_out(self._viewers, self._position, entries)
                self._position = entries[-1].id
                await asyncio.sleep(COALESCE_S)

    async def _admit(self) -> None:
        """Bring newcomers to where the reader is, then let them follow."""
        for viewer in list(self.newcomers):
            assert self._position is not None
            while viewer.cursor < self._position and viewer.close_code is None:
                entries = await self._tail.read(self.run_id, viewer.cursor)
                known = [entry for entry in entries if entry.id <= self._position]
                if known:
                    _hand_out([viewer], viewer.cursor, known)
                else:  # the stream was lost meanwhile
                    viewer.cursor = self._position
                    viewer.send(_reload(self._position))
            if viewer in self.newcomers:
                self.newcomers.remove(viewer)
                self._viewers.add(viewer)


def _hand_out(viewers: Iterable[Viewer], position: int, entries: Sequence[Entry]) -> None:
    """Give entries that follow ``position`` to viewers, each event once, as few texts as can be."""
    last = entries[-1].id
    is_broken = not is_whole(position, [entry.id for entry in entries])
    is_broken = is_broken or any(entry.text == RELOAD for entry in entries)
    shared = _reload(last) if is_broken else _events(entries)
    for viewer in viewers:
        if viewer.cursor <= position:
            viewer.send(shared)
        elif viewer.cursor < last:  # its page was read from the database after these came in
            rest = [entry for entry in entries if entry.id > viewer.cursor]
            viewer.send(_reload(last) if is_broken else _events(rest))
        viewer.cursor = max(viewer.cursor, last)


def _events(entries: Sequence[Entry]) -> str:
    forms = ",".join(entry.text for entry in entries if entry.text)
    return f'{{"t":"events","to":{entries[-1].id},"events":[{forms}]}}'


def _reload(after: int) -> str:
    return f'{{"t":"reload","after":{after}}}'
