"""The live tail of a run: a Redis stream that holds its last events, for whoever watches.

The database is the truth; what is here may be trimmed, lost or away at any time. An entry's id is
``attempt-number``, so Redis itself refuses an event that comes twice or from an older attempt, and
a reader sees a gap by counting.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple, cast

import redis
import redis.asyncio
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.retry import Retry

from rankscope.storage.ids import event_id

AWAY = (redis.RedisError, OSError)
"""What the functions here raise when Redis does not answer or does not do as told."""

MAX_ENTRIES = 5_000
"""Kept per run: minutes of a fast run, and far more than a page is behind its history."""
_KEPT_S = 3 * 24 * 3600
"""How long a tail outlives its last event; whoever comes later reads the database."""
_HINT_KEPT_S = 24 * 3600
_TIMEOUT_S = 2.0
"""A server on the same network answers in milliseconds; longer is taken for away."""
_LARGEST_READ = 2_000
_REPEATED = "equal or smaller"
"""In Redis's refusal of an id that is not above the last one."""


class Entry(NamedTuple):
    """An event in the tail: its id in the run and ``live.wire_text``."""

    id: int
    text: str


class Stream:
    """The writing side; connects when first needed.

    Args:
        url: As ``Settings.live_url``.
        timeout_s: How long one call may take.
    """

    def __init__(self, url: str, *, timeout_s: float = _TIMEOUT_S) -> None:
        self._client = redis.from_url(
            url,
            protocol=2,
            retry=Retry(NoBackoff(), 0),  # callers decide when to try again
            socket_timeout=timeout_s,
            socket_connect_timeout=timeout_s,
        )

    def append(self, run_id: str, entries: Sequence[Entry]) -> bytes | None:
        """Add entries in one round trip; returns the run's control hint, which ``poke`` changes.

        Entries that are there already, or of an attempt older than the last, change nothing.

        Raises:
            AWAY: If the server does not take them; some may have been added.
        """
        key = _key(run_id)
        pipeline = self._client.pipeline(transaction=False)
        for entry in entries:
            pipeline.xadd(
                key,
                {"e": entry.text},
                id=_stream_id(entry.id),
                maxlen=MAX_ENTRIES,
                approximate=True,
            )
        if entries:
            pipeline.expire(key, _KEPT_S)
        pipeline.get(_hint_key(run_id))
        for answer in (answers := pipeline.execute(raise_on_error=False)):
            if isinstance(answer, Exception) and _REPEATED not in str(answer):
                raise answer
        return cast("bytes | None", answers[-1])

    def poke(self, run_id: str) -> bool:
        """Let the run's trainer look at once for what was asked of it; False if Redis is away."""
        try:
            pipeline = self._client.pipeline(transaction=False)
            pipeline.incr(_hint_key(run_id))
            pipeline.expire(_hint_key(run_id), _HINT_KEPT_S)
            pipeline.execute()
        except AWAY:
            return False
        return True

    def close(self) -> None:
        """Hang up."""
        self._client.close()


class Tail:
    """The reading side, for an event loop; connects when first needed.

    Args:
        url: As ``Settings.live_url``.
    """

    def __init__(self, url: str) -> None:
        self._client = redis.asyncio.from_url(
            url,
            protocol=2,
            retry=AsyncRetry(NoBackoff(), 0),
            socket_timeout=_TIMEOUT_S,
            socket_connect_timeout=_TIMEOUT_S,
        )

    async def read(self, run_id: str, cursor: int, *, block_ms: int = 0) -> list[Entry]:
        """The next entries after an event id, oldest first.

        Args:
            run_id: The run.
            cursor: Id of the last event known; whether what comes follows it says ``is_whole``.
            block_ms: How long to wait for a first one; 0 does not wait.

        Raises:
            AWAY: If the server does not answer.
        """
        key, after = _key(run_id), _stream_id(cursor)
        block = block_ms or None
        answer: Any = await self._client.xread({key: after}, count=_LARGEST_READ, block=block)
        return [_entry(*pair) for _, pairs in answer or () for pair in pairs]

    async def last(self, run_id: str) -> int:
        """Id of the newest entry, 0 without one.

        Raises:
            AWAY: If the server does not answer.
        """
        answer: Any = await self._client.xrevrange(_key(run_id), count=1)
        return _entry(*answer[0]).id if answer else 0

    async def close(self) -> None:
        """Hang up."""
        await self._client.aclose()


def is_whole(cursor: int, ids: Sequence[int]) -> bool:
    """Whether events with these ids are all there is between ``cursor`` and the last of them.

    Events of an attempt are numbered 1, 2, 3, ... A newer attempt never follows an older one
    without a gap: how many events the older had in the end, the tail does not know.
    """
    first_of_all = event_id(1, 1)
    return all(
        after == before + 1 or (before == 0 and after == first_of_all)
        for before, after in zip([cursor, *ids], ids, strict=False)
    )


def _key(run_id: str) -> str:
    return f"rankscope:run:{run_id}"


def _hint_key(run_id: str) -> str:
    return f"rankscope:run:{run_id}:ctl"


def _stream_id(cursor: int) -> str:
    return f"{cursor >> 32}-{cursor & 0xFFFFFFFF}"


def _entry(stream_id: bytes, fields: dict[bytes, bytes]) -> Entry:
    attempt, number = stream_id.split(b"-")
    return Entry(event_id(int(attempt), int(number)), fields[b"e"].decode())
