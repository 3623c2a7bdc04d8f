"""``rankscope freeze`` and its twin over HTTP: controls of a recorded run as configurations."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine
from starlette.testclient import TestClient

from rankscope.app.store import open_store
from rankscope.app.web import create_app
from rankscope.models.events import StatusChanged
from rankscope.models.reading import load_config, parse_config, read_config
from rankscope.models.schedulers.fixed import Fixed
from rankscope.models.schedulers.static import Static
from rankscope.storage.database import open_database
from rankscope.storage.runs import begin_attempt, create_run
from rankscope.storage.settings import Settings
from rankscope.storage.sink import Sink
from tests.unit.app.past_runs import INVENTORY, T0, UP, PastRuns, Q

Call = Callable[..., tuple[int, str, str]]
FINAL = Fixed(ranks={Q: 0, UP: 2}, origin="final ranks of static")


def test_the_final_ranks_are_printed_as_a_config_that_can_be_read(
    call: Call, past_runs: PastRuns
) -> None:
    code, said, _ = call("freeze", past_runs.static[1])
    assert code == 0
    config = read_config(said, "what it printed")
    assert config.scheduler == FINAL
    assert (config.seed, config.training.steps, config.name) == (1, 2, "static & co")


def test_a_file_is_written_once(call: Call, past_runs: PastRuns, tmp_path: Path) -> None:
    path = tmp_path / "control.yaml"
    frozen = ("freeze", past_runs.static[0], "--control", "dynamic", "--out", str(path))
    assert call(*frozen)[0] == 0
    assert load_config(path).scheduler == Static()
    code, _, complained = call(*frozen)
    assert (code, complained.split()[:5]) == (2, ["error:", "--out", "must", "be", "a"])
    assert "can be written" in call(*frozen[:-1], str(tmp_path / "no" / "where.yaml"))[2]


def test_shuffled_ranks_are_the_same_for_the_same_seed(
    answer_of: Callable[..., Any], past_runs: PastRuns
) -> None:
    """Of two modules with ranks 0 and 2 there is one other order."""
    arguments = ("freeze", past_runs.static[0], "--control", "shuffled", "--seed", "3", "--json")
    answer = answer_of(*arguments)
    assert answer == answer_of(*arguments)
    assert answer["config"]["scheduler"]["ranks"] == {Q: 2, UP: 0}
    assert (answer["run"], answer["control"]) == (past_runs.static[0], "shuffled")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--seed", "1"), "control static has no use for 1; leave it out or choose shuffled"),
        (("--control", "shuffled"), "modules of equal cost all ended with the same rank"),
    ],
)
def test_what_would_have_no_effect_is_refused(
    call: Call, past_runs: PastRuns, arguments: tuple[str, ...], message: str
) -> None:
    code, _, complained = call("freeze", past_runs.uniform[0], *arguments)
    assert code == 2
    assert message in complained


@pytest.fixture
def client(past_runs: PastRuns) -> Iterator[TestClient]:
    url = f"sqlite:///{past_runs.home}/rankscope.db"
    # nobody listens at this port
    address = "redis://127.0.0.1:9/0"
    settings = Settings(rankscope_home=past_runs.home, database_url=url, redis_url=address)
    engine = open_database(settings.database_url)
    with TestClient(create_app(engine, settings), base_url="http://127.0.0.1:7860") as opened:
        yield opened
    engine.dispose()


def test_a_page_gets_a_control_and_what_is_wrong_over_http(
    client: TestClient, past_runs: PastRuns
) -> None:
    address = f"/api/runs/{past_runs.static[0]}/control"
    answer = client.get(address)
    assert answer.status_code == 200
    assert Fixed.model_validate(answer.json()["config"]["scheduler"]) == FINAL
    assert read_config(answer.json()["yaml"], "yaml").scheduler == FINAL
    assert client.get(address, params={"seed": 1}).status_code == 422
    assert client.get(address, params={"control": "x"}).status_code == 422
    assert client.get("/api/runs/nobody/control").status_code == 404


def test_a_run_that_waits_is_refused(call: Call, engine: Engine) -> None:
    run_id = new_run(engine, "uniform")
    code, _, complained = call("freeze", run_id)
    assert code == 2
    assert f"{run_id} is queued at step 0 of 2; wait for its end or resume it" in complained


def test_a_run_without_adapters_is_refused(call: Call, engine: Engine) -> None:
    run_id = new_run(engine, "full")
    attempt = begin_attempt(engine, run_id, worker_id=None, lease_s=30.0)
    with Sink(engine, run_id, attempt, INVENTORY, flush_s=0.01) as sink:
        sink.emit(StatusChanged(step=2, time=T0, status="done"))
    code, _, complained = call("freeze", run_id)
    assert code == 2
    assert f"{run_id} trained by full without; choose another run" in complained


@pytest.fixture
def engine(empty_home: None) -> Iterator[Engine]:
    del empty_home  # it comes first
    opened = open_store(Settings())
    yield opened
    opened.dispose()


def new_run(engine: Engine, kind: str) -> str:
    raw = {"data": {"kind": "easy_vqa"}, "scheduler": {"kind": kind}, "training": {"steps": 2}}
    return create_run(engine, parse_config(raw), origin="queue", owner="ada", inventory=INVENTORY)
