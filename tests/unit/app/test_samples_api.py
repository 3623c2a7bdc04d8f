"""Samples of a data set over HTTP."""

import base64
import io
import json
import sys
from collections.abc import Iterator

import pytest
from fastapi import FastAPI
from PIL import Image
from starlette.testclient import TestClient

from rankscope.app.api import samples
from rankscope.app.door.identity import viewer
from rankscope.app.server import problems


@pytest.fixture
def client() -> Iterator[TestClient]:
    app = FastAPI()
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
