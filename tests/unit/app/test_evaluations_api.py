"""Evaluations over HTTP, on a real database; no Redis is there, and none is needed."""

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Engine
from starlette.testclient import TestClient

from rankscope.app.web import create_app
from rankscope.models.benchmarks import Pope
from rankscope.models.benchmarks.files import located
from rankscope.storage.benchmark_answers import Attempt, StoredAnswer
from rankscope.storage.benchmark_figures import stored_score
from rankscope.storage.database import migrate, open_database
from rankscope.storage.evaluations import get_evaluation
from rankscope.storage.queue import claim_next
from rankscope.storage.settings import Settings
from rankscope.storage.tables import BenchmarkEvaluation
from tests.helpers.pope_files import write_pope

WISH = {"model": {"kind": "embedded"}, "suite": "pope", "folder": "pope"}


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    home = tmp_path_factory.mktemp("evaluated")
    write_pope(home / "data" / "pope", 4)
    url = f"sqlite:///{home}/rankscope.db"
    # nobody listens at this port
    return Settings(rankscope_home=home, database_url=url, redis_url="redis://127.0.0.1:9/0")


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


def start(client: TestClient, **changes: Any) -> str:
    answer = client.post("/api/evaluations", json=WISH | changes)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["evaluation"])


def answered(client: TestClient, engine: Engine, settings: Settings, *, num_right: int) -> str:
    """Start one and answer it, the first so many rightly."""
    evaluation_id = start(client, priority=0)
    claim = claim_next(engine, ["default"], worker_id="w", lease_s=60, job=BenchmarkEvaluation)
    assert claim is not None
    assert claim.run_id == evaluation_id
    benchmark = located(
        get_evaluation(engine, evaluation_id).parsed().benchmark, settings.roots.data
    )
    assert isinstance(benchmark, Pope)
    items = benchmark.items()
    other = {"yes": "no", "no": "yes"}
    said = [
        item.gold[0] if number < num_right else other[item.gold[0]]
        for number, item in enumerate(items)
    ]
    attempt = Attempt(engine, *claim, lease_s=60)
    rows = [
        StoredAnswer(number, item.key, item.group, said[number], None)
        for number, item in enumerate(items)
    ]
    attempt.add(rows, duration_s=2.0)
    score = benchmark.score_items(
        items, {item.key: word for item, word in zip(items, said, strict=True)}
    )
    attempt.finish(stored_score(score), score.item_scores)
    return evaluation_id


def test_an_evaluation_is_started_read_stopped_and_resumed(client: TestClient) -> None:
    evaluation_id = start(client)
    row = client.get(f"/api/evaluations/{evaluation_id}").json()
    assert (row["status"], row["num_items"], row["eta_s"]) == ("queued", 12, None)
    assert row["config"]["benchmark"]["question_file"] == "pope/llava_pope_test.jsonl"
    listed = client.get("/api/evaluations").json()["evaluations"]
    assert evaluation_id in [one["id"] for one in listed]
    waiting = client.get("/api/queue").json()["evaluations"]
    assert evaluation_id in [one["id"] for one in waiting]
    stopped = client.post(f"/api/evaluations/{evaluation_id}/stop")
    assert stopped.json() == {"status": "stopped"}
    again = client.post(f"/api/evaluations/{evaluation_id}/stop")
    assert (again.status_code, "has not ended" in again.json()["message"]) == (409, True)
    assert client.post(f"/api/evaluations/{evaluation_id}/resume").json() == {"status": "queued"}
    client.post(f"/api/evaluations/{evaluation_id}/stop")


def test_scores_answers_and_the_paired_difference_are_read(
    client: TestClient, engine: Engine, settings: Settings
) -> None:
    """Of 12 items one gets 9 right and the other 6; the difference is 3 of 12, never worse."""
    good = answered(client, engine, settings, num_right=9)
    bad = answered(client, engine, settings, num_right=6)
    score = client.get(f"/api/evaluations/{good}").json()["score"]
    assert score["metrics"]["accuracy"] == 0.75
    assert set(score["by_category"]) == {"adversarial", "popular", "random"}
    low, high = score["intervals"]["accuracy"]
    assert low < 0.75 < high
    assert score["intervals"].keys() == score["metrics"].keys()
    wrong = client.get(f"/api/evaluations/{good}/answers", params={"only": "wrong"}).json()
    assert wrong["total"] == 3
    assert [answer["number"] for answer in wrong["answers"]] == [9, 10, 11]
    every = client.get(f"/api/evaluations/{good}/answers", params={"offset": 10}).json()
    assert (every["total"], len(every["answers"])) == (12, 2)
    found = client.get(f"/api/evaluations/{good}/difference", params={"to": bad}).json()
    assert (found["num_pairs"], found["num_only_ours"], found["num_only_theirs"]) == (12, 3, 0)
    assert found["difference"]["mean"] == pytest.approx(0.25)
    assert found["difference"]["basis"] == "paired normal over items"


def test_the_form_learns_of_every_benchmark_and_its_files(client: TestClient) -> None:
    choices = client.get("/api/evaluations/choices").json()
    kinds = [suite["kind"] for suite in choices["suites"]]
    assert kinds == ["gqa", "science_qa", "text_vqa", "pope", "mme", "mmbench"]
    assert choices["suites"][3]["files"]["image_dir"] == ["val2014"]
    assert {"embedded", "hub", "mobilevlm"} <= {model["kind"] for model in choices["models"]}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"folder": "../.."}, "must lie below the data root"),
        ({"folder": "nowhere"}, "question_file must be llava_pope_test.jsonl"),
        ({"model": {"kind": "hub", "source": "/etc"}}, "must lie below the models root"),
        ({"model": None}, "an evaluation needs one of run, adapter, model"),
        ({"run": "a", "model": None}, "must be the start of a run's id"),
        ({"model": {"kind": "none"}}, "model.kind must be one of"),
        ({"batch_size": 0}, "batch_size"),
    ],
)
def test_what_could_not_run_is_refused_in_one_line(
    client: TestClient, changes: dict[str, Any], words: str
) -> None:
    answer = client.post("/api/evaluations", json=WISH | changes)
    assert answer.status_code in (404, 422)
    assert words in answer.json()["message"]


@pytest.mark.parametrize("path", ["zzz", "zzzzzzzzzz", "zzzzzzzzzz/answers"])
def test_unknown_evaluations_are_not_found(client: TestClient, path: str) -> None:
    answer = client.get(f"/api/evaluations/{path}")
    assert answer.status_code == 404
    assert "an evaluation's id must exist" in answer.json()["message"]
