"""Errors of the API have one form."""

from collections.abc import Iterator

import pytest
from fastapi import FastAPI, HTTPException
from sqlalchemy.exc import OperationalError
from starlette.testclient import TestClient

from rankscope.app.server import problems
from rankscope.models.reading import parse_config
from rankscope.storage.errors import (
    AccountRefusedError,
    RunRefusedError,
    UnknownRunError,
    UnusableDatabaseError,
)


@pytest.fixture(scope="module")
def browser() -> Iterator[TestClient]:
    app = FastAPI()
    problems.add_to(app)
    raised: dict[str, Exception] = {
        "unknown": UnknownRunError("no such run"),
        "refused": RunRefusedError("not now"),
        "account": AccountRefusedError("no such account"),
        "unusable": UnusableDatabaseError("no database"),
        "away": OperationalError("SELECT secret", {}, Exception("host db.internal")),
        "forbidden": HTTPException(403, "not you"),
        "bug": RuntimeError("secret"),
    }

    @app.get("/raise/{name}")
    def fail(name: str) -> None:
        raise raised[name]

    @app.get("/config")
    def config(rate: float) -> None:
        parse_config({"data": {"kind": "easy_vqa"}, "optimizer": {"lr": -rate}, "fly": 1})

    app.include_router(problems.ROUTER)
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


@pytest.mark.parametrize(
    ("name", "status", "message"),
    [
        ("unknown", 404, "no such run"),
        ("refused", 409, "not now"),
        ("account", 400, "no such account"),
        ("unusable", 503, "no database"),
        ("forbidden", 403, "not you"),
    ],
)
def test_a_refusal_is_one_message_with_its_status(
    browser: TestClient, name: str, status: int, message: str
) -> None:
    answer = browser.get(f"/raise/{name}")
    assert (answer.status_code, answer.json()) == (status, {"message": message})


@pytest.mark.parametrize(("name", "status"), [("away", 503), ("bug", 500)])
def test_a_failure_tells_nothing_of_the_inside(browser: TestClient, name: str, status: int) -> None:
    answer = browser.get(f"/raise/{name}")
    assert answer.status_code == status
    assert "secret" not in answer.text
    assert "internal" not in answer.text


def test_a_bad_configuration_names_its_fields(browser: TestClient) -> None:
    answer = browser.get("/config?rate=1")
    assert answer.status_code == 422
    errors = {error["field"]: error["message"] for error in answer.json()["errors"]}
    assert set(errors) == {"optimizer.lr", "fly"}
    assert all(message in answer.json()["message"] for message in errors.values())


def test_a_bad_parameter_names_its_field(browser: TestClient) -> None:
    answer = browser.get("/config?rate=fast")
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == ["rate"]
    assert answer.json()["message"].startswith("rate: ")


def test_an_unknown_address_is_told(browser: TestClient) -> None:
    assert browser.post("/api/nothing").json() == {
        "message": "the API has no such address, got /api/nothing"
    }
