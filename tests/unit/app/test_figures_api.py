"""Figures of a run over HTTP, of recorded runs."""

from collections.abc import Iterator

import pytest
from sqlalchemy import select, update
from starlette.testclient import TestClient

from rankscope.app.web import create_app
from rankscope.storage.database import open_database, writing
from rankscope.storage.settings import Settings
from rankscope.storage.tables import Run
from tests.unit.app.past_runs import PastRuns, record_runs


@pytest.fixture(scope="module")
def past(tmp_path_factory: pytest.TempPathFactory) -> PastRuns:
    return record_runs(tmp_path_factory.mktemp("drawn"))


@pytest.fixture(scope="module")
def settings(past: PastRuns) -> Settings:
    url = f"sqlite:///{past.home}/rankscope.db"
    # nobody listens at this port
    return Settings(rankscope_home=past.home, database_url=url, redis_url="redis://127.0.0.1:9/0")


@pytest.fixture(scope="module")
def client(settings: Settings) -> Iterator[TestClient]:
    engine = open_database(settings.database_url)
    with TestClient(create_app(engine, settings), base_url="http://127.0.0.1:7860") as opened:
        yield opened
    engine.dispose()


def test_a_run_has_its_map_curves_and_settings(client: TestClient, past: PastRuns) -> None:
    figures = client.get(f"/api/runs/{past.uniform[0]}/figures").json()
    meta = figures["rank_map"]["layout"]["meta"]
    assert len(meta["values"]) == len(meta["modules"]) > 0
    assert figures["loss"]["layout"]["xaxis"]["range"][0] == 0
    assert {"key", "value", "default", "is_default"} == set(figures["settings"][0])
    assert figures["other_version"] is None


def test_a_run_of_another_version_is_shown_and_said_to_be_one(
    client: TestClient, past: PastRuns, settings: Settings
) -> None:
    engine = open_database(settings.database_url)
    with writing(engine) as connection:
        made = connection.execute(select(Run.config).where(Run.id == past.static[1])).scalar_one()
        later = made | {"version": 9, "tide": 3}
        connection.execute(update(Run).where(Run.id == past.static[1]).values(config=later))
    engine.dispose()
    figures = client.get(f"/api/runs/{past.static[1]}/figures").json()
    assert "the version that made it" in figures["other_version"]
    assert figures["rank_map"] is not None


def test_the_scale_holds_every_rank_that_is_allowed(client: TestClient, past: PastRuns) -> None:
    figures = client.get(f"/api/runs/{past.uniform[0]}/figures").json()
    widths = [min(m["d_in"], m["d_out"]) for m in figures["rank_map"]["layout"]["meta"]["modules"]]
    assert figures["rank_map"]["layout"]["meta"]["limits"] == [0, min(16, max(widths))]


def test_an_unknown_run_is_said_in_one_line(client: TestClient) -> None:
    answer = client.get("/api/runs/nobody/figures")
    assert answer.status_code == 404
    assert "nobody" in answer.json()["message"]


def test_the_head_comes_with_every_page(client: TestClient) -> None:
    for address in ("/", "/run", "/new"):
        text = client.get(address, headers={"accept": "text/html"}).text
        assert text.index("/ui/base.css") < text.index("</head>")
