"""Samples of a data set over HTTP."""

import base64
import io
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI
from PIL import Image
from starlette.testclient import TestClient

from rankscope.app.api import samples
from rankscope.app.door.identity import viewer
from rankscope.app.pages.contract import Site
from rankscope.app.server import problems
from rankscope.storage.database import open_database
from rankscope.storage.settings import Settings
from rankscope.tasks.client import Answers


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    app = FastAPI()
    settings = Settings(rankscope_home=tmp_path)
    app.state.site = Site(open_database(settings.database_url), settings, Answers())
    problems.add_to(app)
    app.include_router(samples.router)
    app.dependency_overrides[viewer] = lambda: None
    with TestClient(app) as opened:
        yield opened


def test_eight_pictures_come_with_question_and_answer(client: TestClient) -> None:
    data = json.dumps({"kind": "scenes", "task": "hues", "train_items": 100_000})
    found = client.get("/api/samples", params={"data": data}).json()["samples"]
    assert len(found) == 8
    for sample in found:
        assert sample["question"]
        assert sample["answer"]
        picture = base64.b64decode(sample["image"].removeprefix("data:image/png;base64,"))
        assert Image.open(io.BytesIO(picture)).size == (48, 48)


def test_own_files_are_shown_with_their_pictures_and_without_broken_rows(
    client: TestClient, tmp_path: Path
) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    Image.new("RGB", (400, 200), "red").save(folder / "red.png")
    rows = [
        {"question": "what color", "answer": "red", "image": "red.png"},
        {"question": "what is missing", "answer": "this", "image": "none.png"},
        {"question": "are you there", "answer": "yes"},
    ]
    (folder / "own.jsonl").write_text("\n".join(map(json.dumps, rows)))
    data = json.dumps({"kind": "files", "path": "own.jsonl"})
    seen, blind = client.get("/api/samples", params={"data": data}).json()["samples"]
    assert (seen["question"], seen["answer"]) == ("what color", "red")
    picture = base64.b64decode(seen["image"].removeprefix("data:image/png;base64,"))
    assert Image.open(io.BytesIO(picture)).size == (192, 96)
    assert (blind["question"], blind["image"]) == ("are you there", "")


def test_files_outside_the_data_root_are_not_shown(client: TestClient, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "link.jsonl").symlink_to("/etc/passwd")
    data = json.dumps({"kind": "files", "path": "link.jsonl"})
    answer = client.get("/api/samples", params={"data": data})
    assert answer.status_code == 422
    assert "link.jsonl" in answer.json()["message"]
    assert "root:x" not in answer.text


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ("{", "must be JSON"),
        ("[" * 3000, "must be JSON"),
        ('{"kind": "none"}', "data.kind must be one of"),
        ('{"kind": "scenes", "train_items": 1}', "data.train_items"),
    ],
)
def test_bad_settings_are_refused_in_one_line(client: TestClient, data: str, words: str) -> None:
    answer = client.get("/api/samples", params={"data": data})
    assert answer.status_code == 422
    assert words in answer.json()["message"]


def test_a_missing_package_is_told(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "easy_vqa", None)
    data = json.dumps({"kind": "easy_vqa", "seed": 7})
    answer = client.get("/api/samples", params={"data": data})
    assert answer.status_code == 422
    assert "pip install easy-vqa" in answer.json()["message"]


def test_pictures_that_were_not_prepared_are_told_with_the_command(client: TestClient) -> None:
    data = json.dumps({"kind": "emoji", "pictures": "cifar10"})
    answer = client.get("/api/samples", params={"data": data})
    assert answer.status_code == 422
    assert "run `rankscope prepare cifar10`" in answer.json()["message"]
