"""Runs of other people's scripts over HTTP, on a real database, with tokens of every role."""

import gzip
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, update
from starlette.testclient import TestClient

from rankscope.app.api import bodies
from rankscope.app.settings import WebSettings
from rankscope.app.web import create_app
from rankscope.storage.accounts import add_account
from rankscope.storage.choices import Role
from rankscope.storage.database import migrate, open_database, writing
from rankscope.storage.ids import event_id
from rankscope.storage.queue import requeue_expired
from rankscope.storage.runs import get_run
from rankscope.storage.settings import Settings
from rankscope.storage.tables import Run
from rankscope.storage.tokens import create_token

T0 = 1_800_000_000.0
NAMES = tuple(f"model.layers.{layer}.q_proj" for layer in range(3))
INVENTORY = {
    "modules": [
        {"name": name, "part": "language", "layer": at, "type": "q_proj", "d_in": 8, "d_out": 8}
        for at, name in enumerate(NAMES)
    ],
    "total_params": 1000,
}
DESCRIBED = {
    "kind": "external",
    "name": "my script",
    "model": {"name": "LlamaForCausalLM"},
    "data": {"task": "my texts"},
    "budget": {"value": 96},
    "scheduler": {"kind": "random"},
    "lora": {"max_rank": 8},
    "training": {"steps": 4, "batch_size": 2},
}


class Door:
    """One server and a client for every role."""

    def __init__(self, engine: Engine, settings: Settings, client: TestClient) -> None:
        self.engine = engine
        self.settings = settings
        self.client = client

    def program(self, owner: str, role: Role) -> "Program":
        token = create_token(self.engine, owner=owner, role=role)
        return Program(self, {"authorization": f"Bearer {token.plaintext}"})


class Program:
    """Somebody's script."""

    def __init__(self, door: Door, headers: dict[str, str]) -> None:
        self.door = door
        self.headers = headers

    def post(self, path: str, body: object, *, code: int, **headers: str) -> dict[str, Any]:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        sent = {"content-type": "application/json"} | self.headers | headers
        answer = self.door.client.post(path, content=content, headers=sent)
        assert answer.status_code == code, answer.text
        said: dict[str, Any] = answer.json()
        return said

    def open(
        self, key: str = "a key of mine", *, code: int = 201, **changes: Any
    ) -> dict[str, Any]:
        body = {"described": DESCRIBED | changes, "inventory": INVENTORY, "key": key}
        return self.post("/api/external", body, code=code)

    def tell(
        self, run: str, first: int, *events: dict[str, Any], code: int = 200, attempt: int = 1
    ) -> dict[str, Any]:
        body = {"attempt": attempt, "first": first, "events": events}
        return self.post(f"/api/external/{run}/events", body, code=code)

    def get(self, path: str) -> Any:
        answer = self.door.client.get(path, headers=self.headers)
        assert answer.status_code == 200, answer.text
        return answer.json()


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    home: Path = tmp_path_factory.mktemp("ingest")
    url = f"sqlite:///{home}/rankscope.db"
    # nobody listens at this port: the database alone must do
    settings = Settings(rankscope_home=home, database_url=url, redis_url="redis://127.0.0.1:9/0")
    engine = open_database(url)
    migrate(engine)
    add_account(engine, "ada", "correct horse battery", "admin")  # so that strangers are refused
    app = create_app(engine, settings, WebSettings())
    with TestClient(app, base_url="http://127.0.0.1:7860") as client:
        yield Door(engine, settings, client)
    engine.dispose()


@pytest.fixture(scope="module")
def script(door: Door) -> Program:
    return door.program("grace", "operator")


def event(kind: str, step: int = 0, **rest: object) -> dict[str, Any]:
    return {"kind": kind, "step": step, "time": T0 + step, **rest}


def status(status: str, step: int = 0) -> dict[str, Any]:
    return event("status_changed", step, status=status)


def step_done(step: int, loss: float = 1.5) -> dict[str, Any]:
    return event("step_done", step, loss=loss, lr=0.01, step_s=0.1)


def ranks(step: int, cause: str = "scheduler", **rest: int) -> dict[str, Any]:
    table = {NAMES[int(name[1:])]: rank for name, rank in rest.items()}
    return event("ranks_changed", step, ranks=table, cause=cause, moved_params=16, live_params=48)


def test_an_opened_run_is_told_of_and_shown_like_any_other(script: Program) -> None:
    opened = script.open("shown like any other")
    assert (opened["attempt"], opened["last"]) == (1, 0)
    run = opened["run"]
    first = (status("running"), ranks(0, "start", m0=1, m1=1, m2=1), step_done(1))
    assert script.tell(run, 1, *first) == {"last": 3, "status": "running", "requests": []}
    later = (ranks(1, m0=0, m2=2), step_done(2, float("nan")), status("done", 2))
    assert script.tell(run, 4, *later) == {"last": 6, "status": "done", "requests": []}

    page = script.get(f"/api/runs/{run}/page")
    assert page["ranks"] == [0, 1, 2]
    assert [form["step"] for form in page["rank_changes"]] == [0, 1]
    assert page["metrics"]["loss"] == [1.5, None]
    assert (page["run"]["origin"], page["run"]["owner"]) == ("external", "grace")
    assert (page["run"]["model"], page["run"]["data"]) == ("external", "external")
    figures = script.get(f"/api/runs/{run}/figures")
    assert figures["rank_map"] is not None
    assert figures["other_version"] is None
    assert {"key": "model.name", "value": "LlamaForCausalLM"}.items() <= next(
        row for row in figures["settings"] if row["key"] == "model.name"
    ).items()
    row = next(one for one in script.get("/api/runs")["runs"] if one["id"] == run)
    assert (row["model"], row["data"], row["scheduler"]) == (
        "external",
        "external my texts",
        "random",
    )
    assert "my texts" in script.get(f"/api/runs/{run}")["yaml"]
    assert script.get(f"/api/compare?run={run}")["arms"]


def test_opening_twice_with_one_key_opens_one_run(script: Program, door: Door) -> None:
    opened = script.open("opened twice")
    script.tell(opened["run"], 1, status("running"))
    assert script.open("opened twice") == opened | {"last": 1}
    other = door.program("hedy", "operator")
    assert other.open("opened twice")["run"] != opened["run"]
    refused = script.open("opened twice", seed=7, code=409)
    assert "must stand for one config" in refused["message"]


def test_a_batch_that_comes_again_or_late_changes_nothing(script: Program, door: Door) -> None:
    run = script.open("comes again")["run"]
    early = (status("running"), step_done(1))
    script.tell(run, 1, *early)
    script.tell(run, 3, step_done(2), step_done(3), status("done", 3))
    assert script.tell(run, 1, *early)["status"] == "done"
    assert script.tell(run, 2, step_done(1), step_done(2))["last"] == 5
    record = get_run(door.engine, run)
    assert (record.step, record.status, record.last_event_id) == (3, "done", event_id(1, 5))


def test_a_gap_says_from_where_to_go_on(script: Program) -> None:
    run = script.open("with a gap")["run"]
    script.tell(run, 1, status("running"))
    assert "send them from 2 on" in script.tell(run, 3, step_done(2), code=409)["message"]
    assert script.tell(run, 2, step_done(1), step_done(2))["last"] == 3


def test_after_its_end_nothing_more_is_taken(script: Program) -> None:
    run = script.open("has ended")["run"]
    script.tell(run, 1, status("failed"))
    assert (
        "which is failed; open a new one" in script.tell(run, 2, step_done(1), code=409)["message"]
    )
    assert script.tell(run, 2, code=200)["status"] == "failed"


def test_a_silent_run_is_lost_never_requeued_and_lives_when_it_speaks_again(
    script: Program, door: Door
) -> None:
    run = script.open("silent for long")["run"]
    script.tell(run, 1, status("running"), step_done(1))
    assert run in requeue_expired(door.engine, datetime.now(UTC) + timedelta(minutes=2))
    assert get_run(door.engine, run).status == "lost"
    assert script.tell(run, 3, step_done(2))["status"] == "running"
    record = get_run(door.engine, run)
    assert (record.status, record.ended_at, record.attempt, record.step) == ("running", None, 1, 2)


def test_a_sign_of_life_renews_the_lease(script: Program, door: Door) -> None:
    run = script.open("says nothing yet")["run"]
    with writing(door.engine) as connection:
        soon = datetime.now(UTC) + timedelta(seconds=1)
        connection.execute(update(Run).where(Run.id == run).values(lease_until=soon))
    script.tell(run, 1)
    lease = get_run(door.engine, run).lease_until
    assert lease is not None
    assert lease > datetime.now(UTC) + timedelta(seconds=30)


def test_a_stop_that_somebody_asks_for_reaches_the_script(script: Program) -> None:
    run = script.open("asked to stop")["run"]
    script.tell(run, 1, status("running"))
    script.post(f"/api/runs/{run}/stop", {}, code=200)
    assert script.tell(run, 2)["requests"] == ["stop"]
    assert script.tell(run, 2, status("stopped", 1))["requests"] == []


@pytest.mark.parametrize("action", ["resume", "export"])
def test_what_only_our_trainer_can_do_is_refused(script: Program, action: str) -> None:
    run = script.open(f"refused {action}")["run"]
    script.tell(run, 1, status("running"), step_done(1), status("failed", 1))
    assert "script" in script.post(f"/api/runs/{run}/{action}", {}, code=409)["message"]


def test_its_log_is_what_it_told(script: Program, door: Door) -> None:
    run = script.open("with a log")["run"]
    script.tell(run, 1, event("log_line", level="info", text="grüße"), status("done"))
    answer = door.client.get(f"/api/runs/{run}/log", headers=script.headers)
    assert (answer.status_code, answer.text) == (200, "grüße")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (event("resumed", attempt=1), "only runs that Rankscope trains say this"),
        (event("checkpoint_saved", path="../x", size_bytes=1), "only runs that Rankscope trains"),
        (status("queued"), "status must be one of starting, running"),
        (event("params_sampled", live_params=2**63, sample=0), "below 2^63"),
        (step_done(2**31), "step must be at most"),
        (step_done(1) | {"time": 1e18}, "time must be seconds since 1970"),
        (step_done(1) | {"step_s": 1e999}, "must be finite"),
        (ranks(0, m0=2**16), "a rank must lie in 0..65,535"),
        (ranks(0) | {"ranks": {"model.lm_head": 1}}, "got 'model.lm_head'; leave it out"),
        (event("no such kind"), "does not match any of the expected tags"),
        (step_done(1) | {"step": -1}, "greater than or equal to 0"),
    ],
)
def test_an_event_that_cannot_be_shown_is_refused_whole(
    script: Program, door: Door, wrong: dict[str, Any], message: str
) -> None:
    run = script.open("told nonsense")["run"]
    before = get_run(door.engine, run).last_event_id
    first = (before & 0xFFFFFFFF) + 1
    refused = script.tell(run, first, event("log_line", level="info", text="x"), wrong, code=422)
    assert message in refused["message"]
    assert get_run(door.engine, run).last_event_id == before


def test_an_inventory_that_repeats_a_module_is_refused(script: Program) -> None:
    twice = INVENTORY | {"modules": [*INVENTORY["modules"], INVENTORY["modules"][0]]}  # type: ignore[misc,index]
    body = {"described": DESCRIBED, "inventory": twice, "key": "twice the same"}
    assert "distinct names" in script.post("/api/external", body, code=422)["message"]


def test_bodies_may_be_compressed(script: Program) -> None:
    run = script.open("compressed")["run"]
    body = {"attempt": 1, "first": 1, "events": [status("running")]}
    packed = gzip.compress(json.dumps(body).encode())
    path = f"/api/external/{run}/events"
    assert script.post(path, packed, code=200, **{"content-encoding": "gzip"})["last"] == 1
    broken = script.post(path, packed[:-9], code=400, **{"content-encoding": "gzip"})
    assert "must be whole" in broken["message"]
    assert (
        "plain or gzip"
        in script.post(path, packed, code=415, **{"content-encoding": "br"})["message"]
    )


def test_a_body_that_unpacks_to_too_much_is_refused(script: Program) -> None:
    run = script.open("a bomb of a body")["run"]
    bomb = gzip.compress(b" " * (bodies.MAX_BODY_BYTES + 1))
    path = f"/api/external/{run}/events"
    refused = script.post(path, bomb, code=413, **{"content-encoding": "gzip"})
    assert "must not exceed" in refused["message"]


def test_a_nul_character_is_refused(script: Program) -> None:
    refused = script.open("with a NUL", name="a\0b", code=422)
    assert "character NUL" in refused["message"]


def test_only_operators_open_runs_and_only_who_opened_one_tells_of_it(
    script: Program, door: Door
) -> None:
    stranger = Program(door, {"authorization": "Bearer rks_wrong"})
    stranger.open(code=401)
    door.program("vic", "viewer").open(code=403)
    run = script.open("mine alone")["run"]
    refused = door.program("hedy", "operator").tell(run, 1, status("running"), code=403)
    assert "is grace's" in refused["message"]
    assert door.program("ada", "admin").tell(run, 1, status("running"))["last"] == 1
    stranger.tell(run, 2, code=401)
    script.tell("0123456789", 1, code=404)


def test_another_site_cannot_tell_of_a_run(script: Program) -> None:
    refused = script.post("/api/external", {}, code=403, origin="http://evil.example")
    assert "the Origin must be" in refused["message"]


def test_a_run_of_ours_is_not_told_of_from_outside(script: Program) -> None:
    config = {"data": {"kind": "scenes", "task": "hues"}}
    ours = script.post("/api/runs", {"config": config}, code=201)["runs"][0]
    assert "trained by Rankscope" in script.tell(ours, 1, status("running"), code=409)["message"]
