import pytest
from sqlalchemy import Engine

from rankscope.storage.errors import UnknownRunError
from rankscope.storage.finding import RunFilter, find_run, find_runs
from rankscope.storage.runs import create_run
from tests.integration.storage.examples import config, evaluated, new_run, new_sink


def ids(engine: Engine, **filters: object) -> list[str]:
    found = find_runs(engine, RunFilter.model_validate(filters))
    assert found.total == len(found.runs)
    return [str(run["id"]) for run in found.runs]


def test_every_filter_finds_its_runs(engine: Engine) -> None:
    scenes = new_run(engine, name="50% off", tags=["größe"], data={"kind": "scenes"})
    static = create_run(
        engine,
        config(name="500 off", tags=["demo", 'quo"te'], scheduler={"kind": "adalora"}),
        origin="queue",
        owner="bob",
        budget_params=1_000,
    )
    assert ids(engine) == [static, scenes]
    assert ids(engine, data_contains="scenes ANS") == [scenes]
    assert ids(engine, data_contains="easy_vqa") == [static]
    assert ids(engine, schedulers={"adalora", "full"}) == [static]
    assert ids(engine, owner="bob", statuses={"queued"}) == [static]
    assert ids(engine, budget_min=64, budget_max=64) == [scenes]
    assert ids(engine, budget_min=65) == [static]
    assert ids(engine, tag="demo") == [static]
    assert ids(engine, tag='quo"te') == [static]
    assert ids(engine, tag="te") == []
    for words in ("50% größe", "50% OFF", scenes.upper()):
        assert ids(engine, words=words) == [scenes], words
    assert ids(engine, words="off demo") == [static]
    assert ids(engine, words="50_") == []


def test_a_page_of_a_listing_knows_the_whole(engine: Engine) -> None:
    runs = [new_run(engine, seed=seed) for seed in range(5)][::-1]
    found = find_runs(engine, RunFilter(limit=2, offset=1))
    assert ([run["id"] for run in found.runs], found.total) == (runs[1:3], 5)
    assert find_runs(engine, RunFilter(limit=5)).total == 5
    assert find_runs(engine, RunFilter(offset=9)) == ([], 5)


def test_the_score_is_that_of_the_last_test_after_training(engine: Engine) -> None:
    run_id = new_run(engine)
    with new_sink(engine, run_id) as sink:
        sink.emit(evaluated(0, [False, False], when="before"))
        sink.emit(evaluated(1, [True, False]))
        sink.emit(evaluated(1, [True, True, False, True]))
        sink.emit(evaluated(1, [False], when="shuffled_images"))
    run = find_run(engine, run_id)
    assert (run["accuracy"], run["num_items"], run["data"]) == (0.75, 4, "easy_vqa")
    assert run["config"] == config().model_dump(mode="json")
    with pytest.raises(UnknownRunError, match="nobody"):
        find_run(engine, "nobody")
