import asyncio

import pytest
import redis

from rankscope.storage.ids import event_id
from rankscope.storage.stream import AWAY, MAX_ENTRIES, Entry, Stream, Tail
from tests.helpers.valkey import ValkeyServer


@pytest.fixture
def url(valkey: ValkeyServer) -> str:
    valkey.flush()
    return valkey.url


def entries(attempt: int, first: int, last: int) -> list[Entry]:
    return [Entry(event_id(attempt, i), f'{{"id":{i}}}') for i in range(first, last + 1)]


def read(url: str, run_id: str, cursor: int = 0) -> list[Entry]:
    async def reading() -> list[Entry]:
        tail = Tail(url)
        found = await tail.read(run_id, cursor)
        newest = await tail.last(run_id)
        assert newest == (found[-1].id if found else newest)
        await tail.close()
        return found

    return asyncio.run(reading())


def test_entries_are_read_back_after_any_cursor(url: str) -> None:
    stream = Stream(url)
    stream.append("a", entries(1, 1, 10))
    stream.append("b", entries(1, 1, 3))
    assert read(url, "a") == entries(1, 1, 10)
    assert read(url, "a", event_id(1, 7)) == entries(1, 8, 10)
    assert read(url, "a", event_id(1, 10)) == []
    assert read(url, "nothing") == []
    stream.close()


def test_a_batch_that_comes_twice_is_there_once(url: str) -> None:
    stream = Stream(url)
    stream.append("a", entries(1, 1, 5))
    stream.append("a", entries(1, 3, 8))  # the answer to the first three was lost
    assert read(url, "a") == entries(1, 1, 8)
    stream.close()


def test_an_older_attempt_is_refused(url: str) -> None:
    stream = Stream(url)
    stream.append("a", entries(1, 1, 5))
    stream.append("a", entries(2, 1, 2))
    stream.append("a", entries(1, 6, 9))
    assert read(url, "a") == [*entries(1, 1, 5), *entries(2, 1, 2)]
    stream.close()


def test_a_tail_is_bounded_and_does_not_stay_for_ever(url: str) -> None:
    stream = Stream(url)
    for start in range(0, 3 * MAX_ENTRIES, 500):
        stream.append("a", entries(1, start + 1, start + 500))
    with redis.from_url(url) as client:
        assert MAX_ENTRIES <= client.xlen("rankscope:run:a") < 1.1 * MAX_ENTRIES
        assert 0 < client.ttl("rankscope:run:a") <= 3 * 24 * 3600
    stream.close()


def test_the_hint_changes_when_a_run_is_poked(url: str) -> None:
    stream = Stream(url)
    assert stream.append("a", []) is None
    assert stream.poke("a")
    first = stream.append("a", entries(1, 1, 1))
    assert first == stream.append("a", []) is not None
    stream.poke("b")
    assert stream.append("a", []) == first
    stream.poke("a")
    assert stream.append("a", []) not in (first, None)
    stream.close()


def test_a_full_redis_is_away_and_not_a_refusal(url: str) -> None:
    stream = Stream(url)
    with redis.from_url(url) as client:
        client.config_set("maxmemory", 1)
        try:
            with pytest.raises(AWAY, match="maxmemory"):
                stream.append("a", entries(1, 1, 1))
        finally:
            client.config_set("maxmemory", 0)
    stream.append("a", entries(1, 1, 1))
    assert read(url, "a") == entries(1, 1, 1)
    stream.close()
