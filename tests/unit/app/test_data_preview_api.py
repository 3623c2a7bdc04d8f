"""Asking over HTTP what a model would see of data, and what it is made of."""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from rankscope.app.api import data_preview, model_lists
from rankscope.app.door.identity import operator
from rankscope.app.pages.contract import Site
from rankscope.app.server import problems
from rankscope.storage.database import migrate, open_database
from rankscope.storage.settings import Settings
from rankscope.tasks.client import Answers

ANSWERED_WITHIN_S = 250.0
EMBEDDED = {"kind": "embedded"}


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    home = tmp_path_factory.mktemp("home")
    (home / "data").mkdir()
    rows = [{"question": "<i>", "answer": "?"}, {"question": "what", "answer": 1.5}]
    (home / "data" / "own.jsonl").write_text("\n".join(map(json.dumps, rows)))
    settings = Settings(rankscope_home=home, database_url=f"sqlite:///{home}/rankscope.db")
    engine = open_database(settings.database_url)
    migrate(engine)
    app = FastAPI()
    app.state.site = Site(engine, settings, Answers())
    problems.add_to(app)
    app.include_router(data_preview.router)
    app.include_router(model_lists.router)
    app.dependency_overrides[operator] = lambda: None
    with pytest.MonkeyPatch.context() as patch, TestClient(app) as opened:
        patch.setenv("RANKSCOPE_HOME", str(home))
        yield opened
    app.state.site.answers.close()
    engine.dispose()


def looked(client: TestClient, data: dict[str, Any]) -> dict[str, Any]:
    """The answer once there is one; the first says that it takes a while."""
    body = {"model": EMBEDDED, "data": data}
    deadline = time.monotonic() + ANSWERED_WITHIN_S
    first = answer = client.post("/api/data/preview", json=body).json()
    while answer["state"] == "reading":
        assert time.monotonic() < deadline
        time.sleep(0.1)
        answer = client.post("/api/data/preview", json=body).json()
    assert first["state"] == "reading"
    return dict(answer)


def test_rows_tokens_and_broken_rows_come_once_a_process_has_read_them(client: TestClient) -> None:
    answer = looked(client, {"kind": "files", "path": "own.jsonl"})
    assert answer["state"] == "ready"
    preview = answer["preview"]
    assert preview["report"]["num_broken"] == 1
    assert preview["report"]["first_broken"][0]["row"] == 2
    assert preview["rows"][0]["turns"][0] == {"role": "user", "text": "<i>"}
    assert "one picture" in preview["rows"][0]["problem"]


def test_data_that_cannot_be_read_at_all_are_refused_in_one_line(client: TestClient) -> None:
    answer = looked(client, {"kind": "files", "path": "none.jsonl"})
    assert answer["state"] == "refused"
    assert "must exist, got 'none.jsonl'" in answer["message"]
    assert "\n" not in answer["message"]


@pytest.mark.parametrize(
    ("address", "body", "words"),
    [
        ("data/preview", {"model": {"kind": "x"}, "data": {"kind": "scenes"}}, "model.kind"),
        ("data/preview", {"model": EMBEDDED, "data": {"kind": "files"}}, "data.path is required"),
        ("models/lists", {"model": {"kind": "hub"}}, "model.source is required"),
    ],
)
def test_settings_that_are_wrong_start_no_process(
    client: TestClient, address: str, body: dict[str, Any], words: str
) -> None:
    answer = client.post(f"/api/{address}", json=body)
    assert answer.status_code == 422
    assert words in answer.json()["message"]


def test_a_model_that_is_known_needs_no_reading(client: TestClient) -> None:
    answer = client.post("/api/models/lists", json={"model": EMBEDDED})
    assert answer.json() == {"state": "known"}
