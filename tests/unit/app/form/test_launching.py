"""Launching from the form: who may, once per form, and what is refused; Redis is not needed."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine
from starlette.testclient import TestClient

from rankscope.app.door.identity import Person
from rankscope.app.form.filling import config_from
from rankscope.app.form.launching import launch
from rankscope.app.form.preview import SEEDS_KEY
from rankscope.app.form.values import Value, values_of
from rankscope.app.web import create_app
from rankscope.models.presets import preset
from rankscope.models.reading import ConfigError
from rankscope.storage.database import migrate, open_database
from rankscope.storage.queue_order import queue_listing
from rankscope.storage.runs import get_run
from rankscope.storage.settings import Settings

OPERATOR = Person("ada", "operator")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    url = f"sqlite:///{tmp_path}/rankscope.db"
    # nobody listens at this port
    return Settings(rankscope_home=tmp_path, database_url=url, redis_url="redis://127.0.0.1:9/0")


@pytest.fixture
def engine(settings: Settings) -> Iterator[Engine]:
    opened = open_database(settings.database_url)
    migrate(opened)
    yield opened
    opened.dispose()


def form(num_seeds: str = "1", **changes: Value) -> dict[str, Value]:
    return values_of(preset("demo").config) | {SEEDS_KEY: num_seeds} | changes


def test_one_run_per_seed_is_queued_for_the_person(engine: Engine, settings: Settings) -> None:
    answer = launch(engine, settings, form("3", seed="5"), person=OPERATOR, page="a")
    runs = [get_run(engine, run_id) for run_id in answer["runs"]]
    assert [run.config.seed for run in runs] == [5, 6, 7]
    assert {(run.owner, run.status, run.origin) for run in runs} == {("ada", "queued", "queue")}


def test_pressed_twice_at_once_launches_once(engine: Engine, settings: Settings) -> None:
    def press(_: int) -> list[str]:
        runs: list[str] = launch(engine, settings, form("2"), person=OPERATOR, page="a")["runs"]
        return runs

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(press, range(4)))
    assert answers == [answers[0]] * 4
    assert len(queue_listing(engine)) == 2


def test_another_form_or_page_launches_anew(engine: Engine, settings: Settings) -> None:
    for values, page in ((form(), "a"), (form(name="other"), "a"), (form(), "b")):
        launch(engine, settings, values, person=OPERATOR, page=page)
    assert len(queue_listing(engine)) == 3


def test_a_viewer_is_told_who_may_launch(engine: Engine, settings: Settings) -> None:
    answer = launch(engine, settings, form(), person=Person("eve", "viewer"), page="a")
    assert answer["runs"] == []
    assert answer["message"] == (
        "launching needs the role operator, eve is viewer; ask an administrator"
    )
    assert queue_listing(engine) == []


def test_a_wrong_form_is_refused_beside_its_fields(engine: Engine, settings: Settings) -> None:
    wrong = form() | {"optimizer.lr": "7"}
    answer = launch(engine, settings, wrong, person=OPERATOR, page="a")
    assert answer["runs"] == []
    assert list(answer["problems"]) == ["optimizer.lr"]
    assert queue_listing(engine) == []


def test_a_run_is_cloned_by_the_start_of_its_id(engine: Engine, settings: Settings) -> None:
    values = form(name="first") | {"training.steps": "77"}
    (run_id,) = launch(engine, settings, values, person=OPERATOR, page="a")["runs"]
    cloned = config_from(engine, {"clone": run_id[:8]})
    assert cloned == get_run(engine, run_id).config
    with pytest.raises(ConfigError, match="a run to clone must be readable"):
        config_from(engine, {"clone": "zzz"})
    assert config_from(engine, {}) is None


def test_a_database_that_is_gone_is_said_in_one_line(engine: Engine, settings: Settings) -> None:
    with engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE runs")
    answer = launch(engine, settings, form(), person=OPERATOR, page="a")
    assert answer["message"].startswith("launching needs the database")


def test_the_page_answers_over_http(engine: Engine, settings: Settings) -> None:
    """The addresses that Gradio makes of the handlers, as a browser calls them."""
    with TestClient(create_app(engine, settings), base_url="http://127.0.0.1:7860") as client:
        config = client.get("/config").json()
        by_event = {
            target[1]: dependency
            for dependency in config["dependencies"]
            for target in dependency["targets"]
        }
        ids = by_event["launch"]["inputs"]
        elements = {part["id"]: part["props"] for part in config["components"]}
        shown = [elements[number].get("value") for number in ids]

        def ask(event: str, data: object, changes: dict[str, Value] | None = None) -> Any:
            changed = {f"field-{key.replace('.', '-')}": v for key, v in (changes or {}).items()}
            values = [
                changed.get(elements[number]["elem_id"], value)
                for number, value in zip(ids, shown, strict=True)
            ]
            body = {
                "data": values,
                "fn_index": by_event[event]["id"],
                "session_hash": "test",
                "event_data": data,
            }
            answer = client.post("/gradio_api/run/predict", json=body)
            assert answer.status_code == 200, answer.text
            return answer.json()["data"]

        (outlook,) = ask("input", None, {"optimizer.lr": "x"})
        assert list(outlook["problems"]) == ["optimizer.lr"]
        outlook, *updates = ask("fill", {"preset": "easy_vqa"})
        assert outlook["refusal"] is None
        assert outlook["chosen"]["data"]["kind"] == "easy_vqa"
        assert len(updates) == len(ids)
        outlook, *_ = ask("fill", {"yaml": "data: {kind: scenes}\nwhat: 1"})
        assert "what is not a known key" in outlook["refusal"]["message"]
        (launched,) = ask("launch", "page", {"num_seeds": "2"})
        assert len(launched["runs"]) == 2
        (again,) = ask("launch", "page", {"num_seeds": "2"})
        assert again["runs"] == launched["runs"]
