"""Sending files over HTTP."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from rankscope.app.api import uploads
from rankscope.app.door.identity import operator
from rankscope.app.server import problems
from rankscope.storage.uploads import Uploads


@pytest.fixture
def app(tmp_path: Path) -> FastAPI:
    app = FastAPI()
    app.state.uploads = Uploads(tmp_path / "data", 1_000)
    problems.add_to(app)
    app.include_router(uploads.router)
    return app


@pytest.fixture
def client(app: FastAPI) -> Iterator[TestClient]:
    app.dependency_overrides[operator] = lambda: None
    with TestClient(app) as opened:
        yield opened


def test_a_sent_file_is_named_as_data_name_it(client: TestClient, tmp_path: Path) -> None:
    assert client.get("/api/data/files").json()["max_bytes"] == 1_000
    answer = client.put("/api/data/files/my set/rows.json", content=b"[{}]")
    assert answer.status_code == 201
    assert answer.json() == {"path": "uploads/my set/rows.json", "size_bytes": 4}
    assert (tmp_path / "data" / "uploads" / "my set" / "rows.json").read_bytes() == b"[{}]"
    again = client.put("/api/data/files/my set/rows.json", content=b"[{}]")
    assert (again.status_code, "never replaced" in again.json()["message"]) == (409, True)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("rows.json", b"[" + b" " * 1_000, "must not exceed 1,000 bytes"),
        ("a.zip", b"PK", "unpack archives"),
        ("%2e%2e/rows.json", b"[1]", "none of them .."),
        ("rows.json", b"<html>", "must begin with"),
    ],
)
def test_what_is_refused_says_why_and_leaves_nothing(
    client: TestClient, tmp_path: Path, name: str, content: bytes, words: str
) -> None:
    answer = client.put(f"/api/data/files/{name}", content=content)
    assert answer.status_code == 422
    assert words in answer.json()["message"]
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_file_of_unknown_length_is_cut_off_at_the_limit(client: TestClient) -> None:
    def chunks() -> Iterator[bytes]:
        for _ in range(20):
            yield b" " * 100

    answer = client.put("/api/data/files/rows.json", content=chunks())
    assert answer.status_code == 422
    assert "must not exceed 1,000 bytes" in answer.json()["message"]


def test_where_nothing_may_be_sent_the_answer_says_who_can_change_that(
    app: FastAPI, client: TestClient, tmp_path: Path
) -> None:
    app.state.uploads = Uploads(tmp_path, 0)
    answer = client.put("/api/data/files/rows.json", content=b"[]")
    assert answer.status_code == 403
    assert "RANKSCOPE_MAX_UPLOAD_MB" in answer.json()["message"]


def test_nobody_but_operators_may_send(app: FastAPI) -> None:
    with TestClient(app) as stranger:
        assert stranger.put("/api/data/files/rows.json", content=b"[]").status_code == 401
