import pytest
from sqlalchemy import Engine

from rankscope.models.events import Failed
from rankscope.storage import history
from rankscope.storage.errors import UnknownRunError
from rankscope.storage.run_page import run_page
from tests.integration.storage.examples import (
    checkpoint,
    decided,
    evaluated,
    failed,
    measured,
    new_run,
    new_sink,
    ranks_changed,
    resumed,
    sampled,
    status,
)


def test_a_summary_counts_what_the_run_did(engine: Engine) -> None:
    run_id = new_run(engine, seed=4)
    with new_sink(engine, run_id) as sink:
        sink.emit(status("running"))
        sink.emit(ranks_changed(0, {0: 4}, cause="start", moved=0))
        sink.emit(sampled(0, 64))
        sink.emit(evaluated(0, [False, False, True, False], when="before"))
        for step in (10, 20, 30):
            sink.emit(measured(step))
            sink.emit(decided(step))
        sink.emit(ranks_changed(10, {0: 2, 1: 2}, moved=16, live=60))
        sink.emit(ranks_changed(20, {}, moved=0, live=60))
        sink.emit(ranks_changed(30, {0: 1}, cause="observed", moved=8, live=40))
        sink.emit(ranks_changed(30, {0: 1}, cause="start", moved=99, live=40))
        sink.emit(evaluated(40, [True, False], when="during", part="validation"))
        sink.emit(evaluated(50, [True, True], when="during", part="validation"))
        sink.emit(evaluated(50, [True, True, True, False]))
        sink.emit(evaluated(50, [True, False, False, False], when="shuffled_images"))
        sink.emit(evaluated(50, [True, True, False, False], when="question_only"))
        sink.emit(status("done", step=50))
    assert history.summary(engine, run_id).model_dump() == {
        "run": run_id,
        "status": "done",
        "status_reason": "",
        "scheduler": "uniform",
        "seed": 4,
        "budget_params": 64,
        "max_live_params": 64,
        "final_params": 40,
        "other_trainable_params": 0,
        "decisions": 3,
        "scheduler_failure": None,
        "rank_events": 2,
        "params_moved": 24,
        "accuracy": 0.75,
        "accuracy_before": 0.25,
        "accuracy_shuffled_images": 0.25,
        "accuracy_question_only": 0.5,
        "accuracy_validation": 1.0,
        "items": 4,
        "wall_s": 50.0,
        "measurement_s": 1.5,
        "measurement_items": 24,
    }


def test_a_failed_scheduler_is_told_and_is_no_decision(engine: Engine) -> None:
    run_id = new_run(engine)
    with new_sink(engine, run_id) as sink:
        sink.emit(decided(10))
        sink.emit(failed(20, "ValueError: no \N{GREEK SMALL LETTER MU}"))
    found = history.summary(engine, run_id)
    assert found.decisions == 1
    assert found.scheduler_failure == "at step 20: ValueError: no \N{GREEK SMALL LETTER MU}"
    last = history.decisions(engine, run_id)[-1]
    assert last.decision == Failed(reason="ValueError: no \N{GREEK SMALL LETTER MU}")
    page = run_page(engine, run_id)
    assert [form["kind"] for form in page["decisions"]] == ["apply", "failed"]
    assert page["decisions"][-1]["reason"] == "ValueError: no \N{GREEK SMALL LETTER MU}"


def test_a_failure_after_the_checkpoint_that_training_goes_on_from_is_void(
    engine: Engine,
) -> None:
    run_id = new_run(engine)
    with new_sink(engine, run_id) as sink:
        sink.emit(checkpoint(5))
        sink.emit(failed(10, "no luck"))
        sink.emit(status("stopped", step=10))
    with new_sink(engine, run_id) as sink:
        sink.emit(resumed(5, attempt=2))
    assert history.summary(engine, run_id).scheduler_failure is None


def test_a_run_that_has_said_nothing_has_an_empty_history(engine: Engine) -> None:
    run_id = new_run(engine)
    found = history.summary(engine, run_id)
    assert (found.accuracy, found.items, found.wall_s, found.rank_events) == (None, None, None, 0)
    assert history.metrics(engine, run_id).empty
    assert history.rank_map(engine, run_id) == {}
    assert history.rank_history(engine, run_id).empty
    assert history.decisions(engine, run_id) == []


def test_samples_of_one_step_keep_their_order(engine: Engine) -> None:
    run_id = new_run(engine)
    with new_sink(engine, run_id) as sink:
        for number, live in enumerate([60, 52, 64]):
            sink.emit(sampled(7, live, number))
    samples = history.numel_samples(engine, run_id)
    assert samples[["sample", "live_params"]].to_numpy().tolist() == [[0, 60], [1, 52], [2, 64]]


def test_an_unknown_run_is_refused_with_the_remedy(engine: Engine) -> None:
    for read in (history.summary, history.rank_map):
        with pytest.raises(UnknownRunError, match="rankscope runs"):
            read(engine, "nobody")
