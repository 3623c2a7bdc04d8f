"""Nothing lost, nothing doubled over: what a page draws is what the database holds in the end."""

import asyncio
import json
import time
from collections.abc import Iterator

import httpx
import pytest
import redis
from sqlalchemy import Engine, delete, event
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from rankscope.app.page_texts import PageTexts
from rankscope.models.events import LogLine
from rankscope.storage import history
from rankscope.storage.database import writing
from rankscope.storage.errors import FencedOutError
from rankscope.storage.ids import event_id
from rankscope.storage.run_page import last_event_id
from rankscope.storage.runs import begin_attempt, request_control
from rankscope.storage.settings import Settings
from rankscope.storage.sink import Sink
from rankscope.storage.stream import MAX_ENTRIES, Stream
from rankscope.storage.tables import Run
from tests.helpers.valkey import ValkeyServer
from tests.helpers.watching import Watcher
from tests.integration.live.serving import LiveServer
from tests.integration.storage.examples import (
    checkpoint,
    decided,
    evaluated,
    inventory,
    measured,
    new_run,
    ranks_changed,
    resumed,
    sampled,
    status,
    step_done,
)


class Simulated:
    """A run that says what a real one says, as fast as asked, through a real sink."""

    def __init__(
        self, engine: Engine, settings: Settings, run_id: str | None = None, *, lease_s: float = 30
    ) -> None:
        self.run_id = run_id or new_run(engine)
        self.attempt = begin_attempt(engine, self.run_id, worker_id="w", lease_s=lease_s)
        stream = Stream(settings.live_url, timeout_s=0.5)
        self.sink = Sink(
            engine,
            self.run_id,
            self.attempt,
            inventory(),
            flush_s=0.2,
            lease_s=lease_s,
            stream=stream,
        )

    def begin(self) -> None:
        self.sink.emit(status("running"))
        self.sink.emit(sampled(0, 48))
        self.sink.emit(ranks_changed(0, {0: 2, 1: 2, 2: 2}, cause="start"))

    def steps(self, first: int, last: int, *, pause_s: float = 0.005) -> None:
        for step in range(first, last + 1):
            self.sink.emit(step_done(step, loss=self.attempt + 1 / step))
            if step % 10 == 0:
                self.sink.emit(measured(step))
                self.sink.emit(decided(step))
                self.sink.emit(sampled(step, 48, step))
                self.sink.emit(ranks_changed(step, {step // 10 % 3: step}))
            time.sleep(pause_s)

    def end(self, step: int) -> None:
        self.sink.emit(evaluated(step, [True, False]))
        self.sink.emit(status("done", step=step))
        self.sink.close()


@pytest.fixture
def run(engine: Engine, settings: Settings) -> Iterator[Simulated]:
    simulated = Simulated(engine, settings)
    yield simulated
    simulated.sink.close()


def assert_drawn(engine: Engine, run_id: str, *watchers: Watcher) -> None:
    """Every watcher comes to show exactly what the database holds."""
    metrics = history.metrics(engine, run_id)
    losses = dict(zip(metrics["step"].tolist(), metrics["loss"].tolist(), strict=True))
    ranks = dict(enumerate(history.rank_map(engine, run_id).values()))
    for watcher in watchers:
        watcher.wait_for(last_event_id(engine, run_id))
        watcher.close()
        assert watcher.wrong == []
        assert watcher.losses == losses
        assert watcher.ranks == ranks


def test_pages_opened_at_any_time_draw_the_whole_run(
    engine: Engine, server: LiveServer, run: Simulated
) -> None:
    early = Watcher(server.address, run.run_id)
    early.wait_until(lambda: early.num_connections)
    run.begin()
    run.steps(1, 100)
    middle = Watcher(server.address, run.run_id)
    run.steps(101, 200)
    refreshed = Watcher(server.address, run.run_id)
    run.steps(201, 300)
    middle.close()  # a refresh: the page goes, another comes
    again = Watcher(server.address, run.run_id)
    run.steps(301, 400)
    run.end(400)
    late = Watcher(server.address, run.run_id)
    assert_drawn(engine, run.run_id, early, refreshed, again, late)
    assert early.num_live_events > 300
    assert early.num_reloads == 1  # its start: inventory and sizes are no events


def test_a_restart_of_the_web_server_loses_and_doubles_nothing(
    engine: Engine, server: LiveServer, run: Simulated
) -> None:
    watchers = [Watcher(server.address, run.run_id) for _ in range(3)]
    run.begin()
    run.steps(1, 100)
    server.stop()
    run.steps(101, 200)
    server.start()
    run.steps(201, 300)
    run.end(300)
    assert_drawn(engine, run.run_id, *watchers)
    for watcher in watchers:
        assert watcher.num_connections > 1
        assert watcher.num_reloads <= 1  # what was missed meanwhile came from the stream


def test_a_page_behind_a_trimmed_stream_reads_history_again(
    engine: Engine, server: LiveServer, run: Simulated
) -> None:
    run.begin()
    run.steps(1, 10)
    run.sink.flush()
    with Watcher(server.address, run.run_id) as watcher:
        watcher.wait_for(last_event_id(engine, run.run_id))
        loads = watcher.num_loads
        server.stop()
        run.steps(11, 2 * MAX_ENTRIES, pause_s=0)
        run.sink.flush()
        server.start()
        watcher.wait_until(lambda: watcher.num_loads > loads)
        assert watcher.num_reloads >= 1
        watcher.wait_for(last_event_id(engine, run.run_id))
        assert watcher.wrong == []
        assert max(watcher.losses) == 2 * MAX_ENTRIES


def test_a_restart_of_redis_that_forgot_all_loses_and_doubles_nothing(
    engine: Engine, server: LiveServer, run: Simulated, valkey: ValkeyServer
) -> None:
    watcher, other = (Watcher(server.address, run.run_id) for _ in range(2))
    run.begin()
    run.steps(1, 100)
    watcher.wait_until(lambda: watcher.num_live_events > 10)
    valkey.stop()
    run.steps(101, 200, pause_s=0.02)
    watcher.wait_until(lambda: not watcher.beats[-1]["redis"])
    assert watcher.beats[-1]["database"]
    valkey.start()
    run.steps(201, 300, pause_s=0.02)
    watcher.wait_until(lambda: watcher.beats[-1]["redis"])
    live = watcher.num_live_events
    run.steps(301, 400)
    watcher.wait_until(lambda: watcher.num_live_events > live)
    run.end(400)
    assert_drawn(engine, run.run_id, watcher, other)


def test_a_new_attempt_voids_on_every_page_what_the_database_voids(
    engine: Engine, settings: Settings, server: LiveServer
) -> None:
    run = Simulated(engine, settings, lease_s=-1)  # may be taken over at any time
    watcher, other = (Watcher(server.address, run.run_id) for _ in range(2))
    run.begin()
    run.steps(1, 50)
    run.sink.emit(checkpoint(50))
    run.steps(51, 90)
    run.sink.flush()
    assert_sees(watcher, 90)
    second = Simulated(engine, settings, run.run_id)
    run.sink.emit(step_done(91))  # a zombie speaks on: refused by the stream and by the database
    second.sink.emit(status("starting", step=50))
    second.sink.emit(resumed(50, attempt=second.attempt))
    second.steps(51, 80)
    second.sink.flush()
    watcher.wait_for(last_event_id(engine, run.run_id))
    assert max(watcher.losses) == 80
    second.steps(81, 120)
    second.end(120)
    assert_drawn(engine, run.run_id, watcher, other)
    assert watcher.losses[60] == 2 + 1 / 60
    assert watcher.num_reloads >= 1
    with pytest.raises(FencedOutError, match="newer attempt"):
        run.sink.close()


def assert_sees(watcher: Watcher, step: int) -> None:
    watcher.wait_until(lambda: step in watcher.losses)


def test_without_redis_pages_follow_the_database(engine: Engine, settings: Settings) -> None:
    nowhere = settings.model_copy(update={"redis_url": f"unix://{settings.rankscope_home}/none"})
    run = Simulated(engine, nowhere)
    with LiveServer(engine, nowhere) as server:
        watcher = Watcher(server.address, run.run_id)
        run.begin()
        run.steps(1, 50)
        run.sink.flush()
        assert_sees(watcher, 50)
        assert watcher.beats[-1]["redis"] is False
        run.end(50)
        assert_drawn(engine, run.run_id, watcher)


def test_a_request_is_heard_at_once_where_redis_is(engine: Engine, settings: Settings) -> None:
    run_id = new_run(engine)
    attempt = begin_attempt(engine, run_id, worker_id="w", lease_s=600)
    stream = Stream(settings.live_url)
    # ten minutes between rounds: only the hint can make it look
    sink = Sink(engine, run_id, attempt, inventory(), flush_s=600, lease_s=600, stream=stream)
    request_control(engine, run_id, "stop")
    assert Stream(settings.live_url).poke(run_id)
    deadline = time.monotonic() + 60
    while sink.take_request() != "stop":
        assert time.monotonic() < deadline
        time.sleep(0.01)
    sink.close()


def test_poking_without_redis_is_no_error(settings: Settings) -> None:
    assert not Stream(f"unix://{settings.rankscope_home}/none").poke("0" * 10)


def test_all_pages_of_a_run_share_one_reader_that_ends_with_them(
    server: LiveServer, run: Simulated, valkey: ValkeyServer
) -> None:
    def num_blocked() -> int:
        with redis.from_url(valkey.url) as client:
            return int(client.info("clients")["blocked_clients"])

    run.begin()
    watchers = [Watcher(server.address, run.run_id) for _ in range(12)]
    for watcher in watchers:
        watcher.wait_until(lambda watcher=watcher: len(watcher.beats) > 1)
    assert num_blocked() <= 1
    for watcher in watchers:
        watcher.close()
    deadline = time.monotonic() + 20
    while any(not feed.task.done() for feed in server.hub._feeds.values()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert num_blocked() == 0


def test_a_page_that_does_not_read_is_closed_and_others_go_on(
    engine: Engine, server: LiveServer, run: Simulated
) -> None:
    run.begin()
    good = Watcher(server.address, run.run_id)
    good.wait_until(lambda: good.num_connections)
    where = f"ws://{server.address}/live?run={run.run_id}&from=0"
    with connect(where, proxy=None, max_queue=1, close_timeout=1) as stuck:
        for number in range(600):  # 20 kB each: the kernel's buffers are full soon
            run.sink.emit(LogLine(step=1, time=float(number), level="info", text="x" * 20_000))
            time.sleep(0.02)
        assert close_code(stuck) in (1013, 1006)  # or cut, where even that did not get through
    run.steps(1, 20)
    run.end(20)
    assert_drawn(engine, run.run_id, good)
    assert good.close_codes == []


def close_code(connection: ClientConnection) -> int:
    """Read to the end and return why it ended."""
    try:
        while True:
            connection.recv(timeout=20)
    except ConnectionClosed as closed:
        return closed.rcvd.code if closed.rcvd else 1006


def test_an_unknown_run_is_answered_with_its_own_close_code(server: LiveServer) -> None:
    where = f"ws://{server.address}/live?run=0000000000&from=0"
    with connect(where, proxy=None) as connection:
        assert close_code(connection) == 4404
    answer = httpx.get(f"http://{server.address}/api/runs/0000000000/page")
    assert answer.status_code == 404
    assert "must exist" in answer.json()["message"]


def test_a_run_deleted_while_watched_closes_its_pages(
    engine: Engine, server: LiveServer, run: Simulated
) -> None:
    run.sink.close()
    where = f"ws://{server.address}/live?run={run.run_id}&from=0"
    with connect(where, proxy=None) as connection:
        assert json.loads(connection.recv(timeout=10))["run"]["status"] == "starting"
        with writing(engine) as transaction:
            transaction.execute(delete(Run))
        assert close_code(connection) == 4404


def test_a_page_from_the_future_does_not_disturb_others(
    engine: Engine, server: LiveServer, run: Simulated
) -> None:
    run.begin()
    where = f"ws://{server.address}/live?run={run.run_id}&from={event_id(9, 9)}"
    with connect(where, proxy=None):
        watcher = Watcher(server.address, run.run_id)
        run.steps(1, 50)
        run.end(50)
        assert_drawn(engine, run.run_id, watcher)


def test_who_asks_for_a_page_at_the_same_moment_shares_the_reading_of_it(
    engine: Engine, run: Simulated
) -> None:
    read: list[str] = []
    pages = PageTexts(engine)
    event.listen(
        engine,
        "before_cursor_execute",
        lambda _c, _s, statement, *_: (
            read.append(statement) if "config_hash" in statement else None
        ),
    )

    async def ask_together() -> list[str]:
        return await asyncio.gather(*(pages.read(run.run_id) for _ in range(50)))

    run.begin()
    run.sink.flush()
    texts = asyncio.run(ask_together())
    assert len(texts) == 50
    assert json.loads(texts[-1])["ranks"] == [2, 2, 2]
    num_shared = len(read)
    run.steps(1, 5)
    run.sink.flush()
    assert json.loads(asyncio.run(pages.read(run.run_id)))["metrics"]["step"] == [1, 2, 3, 4, 5]
    assert num_shared <= 2 * (len(read) - num_shared)
