"""What the page Compare asks for, on runs whose result is known."""

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Engine
from starlette.testclient import TestClient

from rankscope.app.web import create_app
from rankscope.models.reading import parse_config
from rankscope.storage.database import migrate, open_database
from rankscope.storage.runs import create_run
from rankscope.storage.settings import Settings
from tests.unit.app.past_runs import PastRuns, record_runs


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> PastRuns:
    return record_runs(tmp_path_factory.mktemp("compared"))


@pytest.fixture(scope="module")
def engine(runs: PastRuns) -> Iterator[Engine]:
    opened = open_database(f"sqlite:///{runs.home}/rankscope.db")
    migrate(opened)
    yield opened
    opened.dispose()


@pytest.fixture(scope="module")
def client(engine: Engine, runs: PastRuns) -> Iterator[TestClient]:
    settings = Settings(rankscope_home=runs.home, database_url=str(engine.url))
    with TestClient(create_app(engine, settings), base_url="http://127.0.0.1:7860") as opened:
        yield opened


@pytest.fixture
def page(client: TestClient, runs: PastRuns) -> dict[str, Any]:
    return page_of(client, *runs.uniform, *runs.static)


def page_of(client: TestClient, *run: str, **choices: Any) -> dict[str, Any]:
    answer = client.get("/api/compare", params={"run": run, **choices})
    assert answer.status_code == 200
    page: dict[str, Any] = answer.json()
    return page


def test_every_configuration_is_a_row_with_its_seeds_within(
    page: dict[str, Any], runs: PastRuns
) -> None:
    """Uniform .6 and .8, static .7 and .9: means .7 and .8."""
    uniform, static = page["arms"]
    assert (uniform["configuration"], uniform["is_baseline"]) == ("uniform", True)
    assert [arm["accuracy"] for arm in (uniform, static)] == pytest.approx([0.7, 0.8])
    assert [(run["id"], run["seed"], run["accuracy"]) for run in uniform["runs"]] == [
        (runs.uniform[0], 0, 0.6),
        (runs.uniform[1], 1, 0.8),
    ]
    assert uniform["difference"] is None
    assert static["difference"]["difference"] == pytest.approx(0.1)
    assert (static["measurement_s"], static["measurement_items"]) == (0.5, 12)
    assert (static["num_rank_events"], static["moved_params"]) == (1, 16)


def test_the_verdict_and_what_differs_are_told(page: dict[str, Any]) -> None:
    assert page["verdict"]["answer"] == "Yes: static is better than uniform"
    assert page["verdict"]["findings"][0]["finding"] == "better"
    assert page["verdict"]["caveats"][0].startswith("Two seeds")
    values = {row["key"]: row["values"] for row in page["differences"]}
    assert values["scheduler.kind"] == ["uniform", "static"]
    assert "data.kind" not in values
    assert page["num_open"] == 0


def test_curves_are_means_over_seeds_with_bands(page: dict[str, Any]) -> None:
    """Both seeds lose 1.5 and 1.25 nats, and have no score on validation."""
    loss = page["curves"]["loss"]
    assert loss["series"]["static"] == [
        {"step": 1, "mean": 1.5, "low": 1.5, "high": 1.5, "num_runs": 2},
        {"step": 2, "mean": 1.25, "low": 1.25, "high": 1.25, "num_runs": 2},
    ]
    assert "band from the lowest to the highest seed" in loss["figure"]["layout"]["title"]["text"]
    named = {trace["name"]: trace for trace in loss["figure"]["data"]}
    assert named["static"]["x"] == [1, 2]
    assert named["static, range"]["fill"] == "toself"
    assert page["curves"]["validation"]["series"] == {"uniform": [], "static": []}


def test_single_runs_have_a_curve_each(client: TestClient, runs: PastRuns) -> None:
    single = page_of(client, *runs.uniform, *runs.static, curves="runs")
    assert list(single["curves"]["loss"]["series"]) == [
        "uniform, seed 0",
        "uniform, seed 1",
        "static, seed 0",
        "static, seed 1",
    ]


def test_rank_maps_share_one_scale_and_differences_another(page: dict[str, Any]) -> None:
    """Uniform stays at ranks 1 and 1, static ends at 0 and 2: differences -1 and +1."""
    maps = page["maps"]
    metas = [one["figure"]["layout"]["meta"] for one in maps["maps"]]
    assert [meta["values"] for meta in metas] == [[1, 1], [0, 2]]
    assert [meta["limits"] for meta in metas] == [[0, 2], [0, 2]]
    [difference] = maps["differences"]
    assert difference["configuration"] == "static"
    assert difference["figure"]["layout"]["meta"]["values"] == [-1, 1]
    assert difference["figure"]["layout"]["meta"]["limits"] == [-2, 2]
    title = maps["maps"][0]["figure"]["layout"]["title"]["text"]
    assert title == "uniform, mean of 2 seeds"


def test_maps_of_one_seed_leave_other_seeds_out(client: TestClient, runs: PastRuns) -> None:
    chosen = page_of(client, *runs.uniform, runs.static[0], seed=1)
    uniform, static = chosen["maps"]["maps"]
    assert uniform["figure"]["layout"]["title"]["text"] == "uniform, seed 1"
    assert static["figure"] is None
    [difference] = chosen["maps"]["differences"]
    assert (difference["figure"], difference["missing"]) == (None, "no ranks yet")


def test_another_baseline_turns_the_difference_round(client: TestClient, runs: PastRuns) -> None:
    turned = page_of(client, *runs.uniform, *runs.static, baseline=runs.static[1])
    assert turned["baseline"] == "static"
    assert turned["arms"][0]["difference"]["difference"] == pytest.approx(-0.1)


def test_nothing_is_sent_twice(client: TestClient, page: dict[str, Any], runs: PastRuns) -> None:
    everything = (*runs.uniform, *runs.static)
    again = client.get("/api/compare", params={"run": everything, "since": page["revision"]})
    assert again.json() == {"is_unchanged": True}


def test_a_run_that_waits_is_shown_without_figures(
    client: TestClient, engine: Engine, runs: PastRuns
) -> None:
    config = parse_config({"data": {"kind": "easy_vqa"}, "scheduler": {"kind": "gradient"}})
    waiting = create_run(engine, config, origin="queue", owner="ada")
    live = page_of(client, runs.uniform[0], waiting)
    assert live["num_open"] == 1
    assert live["verdict"]["answer"] == "Not known yet"
    assert live["maps"]["maps"][1]["figure"] is None
    [run] = live["arms"][1]["runs"]
    assert (run["status"], run["step"], run["accuracy"]) == ("queued", 0, None)


@pytest.mark.parametrize(
    ("style", "begins", "kind"),
    [
        ("csv", "configuration,seeds,items,", "text/csv"),
        ("md", "| configuration | seeds |", "text/markdown"),
        ("latex", r"\begin{tabular}", "application/x-tex"),
    ],
)
def test_the_table_comes_as_a_file(
    client: TestClient, runs: PastRuns, style: str, begins: str, kind: str
) -> None:
    query = {"run": (*runs.uniform, *runs.static), "style": style}
    answer = client.get("/api/compare/table", params=query)
    assert answer.text.startswith(begins)
    assert answer.headers["content-type"].startswith(kind)
    assert answer.headers["content-disposition"].startswith("attachment; filename=")


def test_unknown_runs_are_named(client: TestClient, runs: PastRuns) -> None:
    answer = client.get("/api/compare", params={"run": [runs.uniform[0], "nobody"]})
    assert answer.status_code == 404
    assert "nobody" in answer.text
    foreign = {"run": list(runs.uniform), "baseline": runs.static[0]}
    assert client.get("/api/compare", params=foreign).status_code == 404
