"""Runs and the queue over HTTP, on a real database; no Redis is there, and none is needed."""

import io
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from sqlalchemy import Engine, update
from starlette.testclient import TestClient

from rankscope.app.web import create_app
from rankscope.models.reading import parse_config
from rankscope.storage.artifacts import RunFolder, record_artifact
from rankscope.storage.control import take_control
from rankscope.storage.database import migrate, open_database, writing
from rankscope.storage.queue import claim_next, end_attempt
from rankscope.storage.runs import create_run
from rankscope.storage.settings import Settings
from rankscope.storage.tables import Run
from rankscope.storage.workers import WorkerBeat, beat
from tests.unit.app.past_runs import PastRuns, record_runs

CONFIG = {"name": "first", "data": {"kind": "scenes", "task": "hues"}, "tags": ["demo", "größe"]}


@pytest.fixture(scope="module")
def past(tmp_path_factory: pytest.TempPathFactory) -> PastRuns:
    return record_runs(tmp_path_factory.mktemp("listed"))


@pytest.fixture(scope="module")
def settings(past: PastRuns) -> Settings:
    url = f"sqlite:///{past.home}/rankscope.db"
    # nobody listens at this port
    return Settings(rankscope_home=past.home, database_url=url, redis_url="redis://127.0.0.1:9/0")


@pytest.fixture(scope="module")
def engine(settings: Settings) -> Iterator[Engine]:
    opened = open_database(settings.database_url)
    migrate(opened)
    yield opened
    opened.dispose()


@pytest.fixture(scope="module")
def client(engine: Engine, settings: Settings) -> Iterator[TestClient]:
    with TestClient(create_app(engine, settings), base_url="http://127.0.0.1:7860") as opened:
        yield opened


@pytest.fixture(autouse=True)
def _nothing_waits(engine: Engine) -> Iterator[None]:
    yield
    with writing(engine) as connection:
        is_open = Run.status.in_(("queued", "starting"))
        connection.execute(update(Run).where(is_open).values(status="stopped"))


def launch(client: TestClient, **changes: Any) -> list[str]:
    answer = client.post("/api/runs", json={"config": CONFIG, **changes})
    assert answer.status_code == 201, answer.text
    runs: list[str] = answer.json()["runs"]
    return runs


def act(client: TestClient, run_id: str, verb: str, *, code: int = 200) -> dict[str, Any]:
    answer = client.post(f"/api/runs/{run_id}/{verb}", json={})
    assert answer.status_code == code, answer.text
    said: dict[str, Any] = answer.json()
    return said


def listed(client: TestClient, **filters: Any) -> dict[str, Any]:
    answer = client.get("/api/runs", params=filters)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def ids(client: TestClient, **filters: Any) -> set[str]:
    return {run["id"] for run in listed(client, **filters)["runs"]}


def test_a_config_is_launched_once_per_seed_and_waits_in_the_queue(client: TestClient) -> None:
    first, second = launch(client, seeds=[3, 7])
    waiting = client.get("/api/queue").json()["queued"]
    assert [(run["id"], run["seed"], run["scheduler"]) for run in waiting] == [
        (first, 3, "uniform"),
        (second, 7, "uniform"),
    ]
    run = client.get(f"/api/runs/{first}").json()
    assert (run["status"], run["data"], run["tags"]) == ("queued", "scenes hues", CONFIG["tags"])
    assert run["budget_params"] > 0
    assert parse_config(yaml.safe_load(run["yaml"])) == parse_config({**CONFIG, "seed": 3})
    assert parse_config(run["config"]) == parse_config({**CONFIG, "seed": 3})


def test_a_double_submit_gives_the_same_runs(client: TestClient) -> None:
    once = launch(client, seeds=[0, 1], idempotency_key="click")
    assert launch(client, seeds=[0, 1], idempotency_key="click") == once
    other = {"config": {**CONFIG, "seed": 9}, "idempotency_key": "click"}
    answer = client.post("/api/runs", json=other)
    assert answer.status_code == 409
    assert "use a new key" in answer.json()["message"]


def test_a_wrong_config_names_its_fields_and_makes_no_run(client: TestClient) -> None:
    before = listed(client)["total"]
    wrong = {**CONFIG, "optimizer": {"lr": -1}, "training": {"stops": 3}}
    answer = client.post("/api/runs", json={"config": wrong})
    assert answer.status_code == 422
    assert {error["field"] for error in answer.json()["errors"]} == {
        "optimizer.lr",
        "training.stops",
    }
    for config, seeds, word in (
        ({**CONFIG, "budget": {"unit": "params", "value": 1}}, None, "raise it"),
        ({**CONFIG, "lora": {"targets": "zzz"}}, None, "lora.targets"),
        ({**CONFIG, "name": "a\0b"}, None, "NUL"),
        (CONFIG, [], "1 to 100"),
        (CONFIG, [1, 1], "distinct"),
        (CONFIG, [-1], "seed"),
    ):
        answer = client.post("/api/runs", json={"config": config, "seeds": seeds})
        assert answer.status_code == 422
        assert word in answer.json()["message"]
    assert client.post("/api/runs", json={"confg": CONFIG}).status_code == 422
    assert client.post("/api/runs", content=b"{").status_code == 422
    assert listed(client)["total"] == before


def test_a_waiting_run_is_stopped_at_once_and_only_once(client: TestClient) -> None:
    (run_id,) = launch(client)
    assert act(client, run_id, "stop") == {"status": "stopped"}
    assert "which is stopped" in act(client, run_id, "stop", code=409)["message"]
    assert act(client, run_id, "resume") == {"status": "queued"}
    assert "which is queued" in act(client, run_id, "resume", code=409)["message"]


def test_a_live_run_is_asked_to_stop(client: TestClient, engine: Engine) -> None:
    (run_id,) = launch(client)
    claimed = claim_next(engine, ["default"], worker_id="w", lease_s=30)
    assert claimed == (run_id, 1)
    assert act(client, run_id, "stop") == {"status": "starting"}
    assert act(client, run_id, "stop") == {"status": "starting"}
    assert take_control(engine, run_id, 1) == {"stop"}


def test_the_queue_is_changed_by_people(client: TestClient) -> None:
    first, second, third = launch(client, seeds=[0, 1, 2])
    for run_id, change in ((third, "first"), (second, "up"), (third, "down"), (first, "hold")):
        assert act(client, run_id, change) == {"status": "queued"}
    waiting = client.get("/api/queue").json()["queued"]
    assert [(run["id"], run["is_held"]) for run in waiting] == [
        (second, False),
        (third, False),
        (first, True),
    ]
    act(client, first, "release")
    act(client, first, "stop")
    assert "which is stopped" in act(client, first, "up", code=409)["message"]


def test_the_queue_shows_who_runs_where(client: TestClient, engine: Engine) -> None:
    (run_id,) = launch(client)
    claim_next(engine, ["default"], worker_id="w", lease_s=30)
    beat(engine, WorkerBeat("w", "here", 42, ["default"], 2, "cpu", 8_000, None, "0.1.0"))
    shown = client.get("/api/queue").json()
    (running,) = [run for run in shown["running"] if run["id"] == run_id]
    assert running["worker_id"] == "w"
    assert running["lease_until"] == pytest.approx(
        (datetime.now(UTC) + timedelta(seconds=30)).timestamp(), abs=20
    )
    (worker,) = shown["workers"]
    assert (worker["id"], worker["num_busy"], worker["is_alive"]) == ("w", 1, True)
    assert isinstance(worker["started_at"], float)


@pytest.mark.parametrize("verb", ["stop", "resume", "export", "hold", "release", "up", "first"])
def test_an_unknown_run_is_404_whatever_is_asked_of_it(client: TestClient, verb: str) -> None:
    assert "nobody" in act(client, "nobody", verb, code=404)["message"]


@pytest.mark.parametrize("what", ["", "/log", "/adapter"])
def test_nothing_of_an_unknown_run_can_be_read(client: TestClient, what: str) -> None:
    for run_id in ("nobody", "0000000000", "%00", "%2e%2e%2fx"):
        answer = client.get(f"/api/runs/{run_id}{what}")
        assert answer.status_code == 404
        assert answer.json()["message"]


def test_a_run_of_another_version_can_be_read_and_stopped_but_not_resumed(
    client: TestClient, engine: Engine
) -> None:
    (run_id,) = launch(client)
    newer = parse_config(CONFIG).model_dump(mode="json") | {"version": 2, "magic": True}
    with writing(engine) as connection:
        connection.execute(update(Run).where(Run.id == run_id).values(config=newer))
    run = client.get(f"/api/runs/{run_id}").json()
    assert run["config"] == yaml.safe_load(run["yaml"]) == newer
    assert act(client, run_id, "stop") == {"status": "stopped"}
    for verb in ("resume", "export"):
        assert "the version that made it" in act(client, run_id, verb, code=409)["message"]
    assert client.get(f"/api/runs/{run_id}").json()["status"] == "stopped"


def test_a_run_outside_the_queue_is_resumed_where_it_was_started(
    client: TestClient, engine: Engine
) -> None:
    run_id = create_run(engine, parse_config(CONFIG), origin="foreground", owner="ada")
    end_attempt(engine, run_id, 0, "failed", "no disk")
    said = act(client, run_id, "resume", code=409)["message"]
    assert f"rankscope resume {run_id}" in said


def test_an_export_needs_a_trained_step_and_redis(
    client: TestClient, past: PastRuns, engine: Engine
) -> None:
    (run_id,) = launch(client)
    assert "checkpoint" in act(client, run_id, "export", code=409)["message"]
    with writing(engine) as connection:
        connection.execute(update(Run).where(Run.id == past.uniform[0]).values(step=150))
    said = act(client, past.uniform[0], "export", code=503)["message"]
    assert "redis://127.0.0.1:9/0" in said


def test_scores_come_with_their_interval_over_items(client: TestClient, past: PastRuns) -> None:
    run = next(run for run in listed(client)["runs"] if run["id"] == past.uniform[0])
    assert run["accuracy"] == 0.6
    assert run["num_items"] > 0
    assert 0 < run["accuracy_low"] < 0.6 < run["accuracy_high"] < 1
    (waiting,) = launch(client)
    run = next(run for run in listed(client)["runs"] if run["id"] == waiting)
    assert [run[key] for key in ("accuracy", "accuracy_low", "num_items")] == [None] * 3
    assert abs(run["created_at"] - datetime.now(UTC).timestamp()) < 60


def test_runs_are_found_by_every_filter(client: TestClient, past: PastRuns) -> None:
    (run_id,) = launch(client, config={**CONFIG, "name": "Ünique 100%"})
    recorded = {*past.uniform, *past.static}
    assert ids(client, status="done") == recorded
    assert ids(client, status=["queued", "running"]) == {run_id}
    assert ids(client, scheduler="static") == set(past.static)
    assert recorded < ids(client, scheduler=["static", "uniform"])
    assert run_id in ids(client, data="hues")
    assert recorded.isdisjoint(ids(client, data="scenes HUES"))
    assert ids(client, owner="nobody") == set()
    budget = client.get(f"/api/runs/{run_id}").json()["budget_params"]
    assert run_id in ids(client, budget_min=budget, budget_max=budget)
    assert run_id not in ids(client, budget_max=budget - 1)
    for words in (run_id, run_id[2:8].upper(), "100% demo", "größe 100%"):
        assert run_id in ids(client, q=words), words
    assert ids(client, q="100% nothing") == set()
    assert ids(client, q="100_") == set()


def test_a_page_of_runs_says_how_many_there_are(client: TestClient) -> None:
    launch(client, seeds=[0, 1, 2])
    everything = listed(client)
    assert len(everything["runs"]) == everything["total"]
    page = listed(client, limit=2, offset=1)
    assert page["total"] == everything["total"]
    assert page["runs"] == everything["runs"][1:3]
    for wrong in ({"limit": 0}, {"status": "asleep"}, {"colour": "red"}, {"budget_min": "x"}):
        answer = client.get("/api/runs", params=wrong)
        assert answer.status_code == 422
        assert answer.json()["errors"]


def test_the_log_and_the_newest_adapter_can_be_fetched(
    client: TestClient, engine: Engine, settings: Settings
) -> None:
    (run_id,) = launch(client)
    assert client.get(f"/api/runs/{run_id}/log").text == ""
    claim_next(engine, ["default"], worker_id="w", lease_s=30)
    assert "look on the machine" in client.get(f"/api/runs/{run_id}/log").json()["message"]
    folder = RunFolder(settings, run_id)
    folder.make()
    folder.log_path.write_text("step 1\nschön\n")
    answer = client.get(f"/api/runs/{run_id}/log")
    assert (answer.text, answer.headers["content-type"]) == (
        "step 1\nschön\n",
        "text/plain; charset=utf-8",
    )
    assert "export it first" in client.get(f"/api/runs/{run_id}/adapter").json()["message"]
    for step in (5, 9):
        write_adapter(folder.inside(f"adapters/step-{step}"), step)
        path = f"adapters/step-{step}"
        record_artifact(engine, run_id, kind="adapter", path=path, step=step, size_bytes=1)
    answer = client.get(f"/api/runs/{run_id}/adapter")
    assert f"{run_id}-step-9.zip" in answer.headers["content-disposition"]
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.namelist() == ["adapter_config.json"]
        assert archive.read("adapter_config.json") == b"9"


def write_adapter(folder: Path, step: int) -> None:
    folder.mkdir(parents=True)
    (folder / "adapter_config.json").write_text(str(step))
