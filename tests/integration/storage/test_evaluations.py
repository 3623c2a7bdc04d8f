"""Evaluations wait, are claimed, stopped and taken over like runs, and answer every item once."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, update

from rankscope.models.benchmarks import Pope
from rankscope.models.benchmarks.contract import BenchmarkScore
from rankscope.models.evaluation import BaseSubject, EvaluationConfig, RunSubject
from rankscope.models.vlms import EmbeddedVlm
from rankscope.storage.benchmark_answers import Attempt, StoredAnswer, read_answers
from rankscope.storage.benchmark_figures import compare, stored_score
from rankscope.storage.database import writing
from rankscope.storage.ending import fail_abandoned_foreground_runs
from rankscope.storage.errors import FencedOutError, RunRefusedError, UnknownEvaluationError
from rankscope.storage.evaluations import (
    begin_evaluation,
    create_evaluation,
    get_evaluation,
    list_evaluations,
    requeue_ended_evaluation,
    resolve_evaluation,
    stop_evaluation,
)
from rankscope.storage.queue import (
    MAX_REQUEUES,
    Claim,
    adopt,
    claim_next,
    live_processes,
    next_job,
    record_process,
    requeue,
    requeue_expired,
)
from rankscope.storage.runs import create_run
from rankscope.storage.supervision import evaluation_standing
from rankscope.storage.tables import BenchmarkEvaluation, Run
from rankscope.storage.workers import WorkerBeat, beat, list_workers
from tests.integration.storage.examples import config as run_config

POPE = Pope(question_file=Path("q.jsonl"), label_dir=Path("coco"), image_dir=Path("val2014"))


def evaluation(
    engine: Engine, *, priority: int = 5, run_id: str | None = None, foreground: bool = False
) -> str:
    subject = BaseSubject(model=EmbeddedVlm()) if run_id is None else None
    return create_evaluation(
        engine,
        EvaluationConfig(
            subject=subject or RunSubject(run_id=run_id or "", step=3), benchmark=POPE
        ),
        title="base model embedded",
        origin="foreground" if foreground else "queue",
        owner="ada",
        num_items=4,
        items_digest="d" * 64,
        priority=priority,
    )


def claim(engine: Engine, *, lease_s: float = 30.0) -> Claim:
    claimed = claim_next(
        engine, ["default"], worker_id="w", lease_s=lease_s, job=BenchmarkEvaluation
    )
    assert claimed is not None
    return claimed


def attempt(engine: Engine, claimed: Claim) -> Attempt:
    return Attempt(engine, *claimed, lease_s=30.0)


def answer(number: int, score: float | None = None) -> StoredAnswer:
    return StoredAnswer(number, f"k{number}", f"k{number}", f"said {number}", score)


def score(scores: tuple[float, ...], **changes: object) -> BenchmarkScore:
    values: dict[str, object] = {
        "kind": "pope",
        "settings": {},
        "headline": "mean_f1",
        "best": 1.0,
        "metrics": {"mean_f1": 0.5, "accuracy": sum(scores) / len(scores)},
        "by_category": {"random": {"accuracy": 0.5, "items": 4}},
        "item_scores": scores,
        "group_scores": scores,
        "items_digest": "d" * 64,
        "num_items": len(scores),
        "notes": (),
        "intervals": {"mean_f1": (0.25, 0.75)},
    }
    return BenchmarkScore.model_validate(values | changes)


def done(engine: Engine, scores: tuple[float, ...], **changes: object) -> str:
    evaluation_id = evaluation(engine)
    present = attempt(engine, claim(engine))
    present.add([answer(number) for number in range(len(scores))], duration_s=1.0)
    found = score(scores, **changes)
    present.finish(stored_score(found), found.item_scores)
    return evaluation_id


def test_runs_and_evaluations_wait_in_one_order_of_priority_and_age(engine: Engine) -> None:
    runs = [create_run(engine, run_config(seed=0), origin="queue", owner="ada")]
    evaluations = [evaluation(engine)]
    runs.append(create_run(engine, run_config(seed=1), origin="queue", owner="ada"))
    evaluations.append(evaluation(engine, priority=1))
    order = []
    while (job := next_job(engine, ["default"])) is not None:
        claimed = claim_next(engine, ["default"], worker_id="w", lease_s=30, job=job)
        assert claimed is not None
        order.append(claimed.run_id)
    assert order == [evaluations[1], runs[0], evaluations[0], runs[1]]


def test_an_evaluation_counts_as_what_keeps_its_worker_busy(engine: Engine) -> None:
    evaluation(engine)
    claim(engine)
    said = WorkerBeat("w", "host", 1, ["default"], 2, "cpu", None, None, "1")
    beat(engine, said)
    assert list_workers(engine, datetime.now(UTC))[0].num_busy == 1


def test_answers_stay_when_the_process_dies_and_the_dead_one_writes_nothing_more(
    engine: Engine,
) -> None:
    evaluation_id = evaluation(engine)
    first = claim(engine)
    dead = attempt(engine, first)
    dead.say("running")
    dead.begin(content_hash="h" * 64, versions={"torch": "2"})
    dead.add([answer(0), answer(2)], duration_s=4.0)
    running = get_evaluation(engine, evaluation_id)
    assert (running.num_answered, running.eta_s) == (2, 4.0)
    later = datetime.now(UTC) + timedelta(minutes=5)
    assert requeue_expired(engine, later, BenchmarkEvaluation) == [evaluation_id]
    second = claim(engine)
    assert second == Claim(evaluation_id, 2)
    for write in (dead.renew, lambda: dead.add([answer(1)], duration_s=1.0)):
        with pytest.raises(FencedOutError, match="nothing is left to do"):
            write()
    present = attempt(engine, second)
    present.add([answer(1), answer(3)], duration_s=4.0)
    found = score((1.0, 0.0, 1.0, 0.0))
    present.finish(stored_score(found), found.item_scores)
    assert read_answers(engine, evaluation_id) == [
        answer(number, found.item_scores[number]) for number in range(4)
    ]
    ended = get_evaluation(engine, evaluation_id)
    assert (ended.status, ended.num_requeues, ended.generation_s) == ("done", 1, 8.0)
    assert ended.score is not None
    assert ended.score["metrics"]["accuracy"] == 0.5
    assert ended.score["intervals"]["accuracy"] == pytest.approx([0.15, 0.85], abs=0.005)
    assert ended.started_at is not None
    assert ended.ended_at is not None


def test_an_evaluation_whose_process_keeps_dying_fails(engine: Engine) -> None:
    evaluation_id = evaluation(engine)
    for _ in range(MAX_REQUEUES + 1):
        number = claim(engine).attempt
        status = requeue(
            engine, evaluation_id, number, "it died", counts=True, job=BenchmarkEvaluation
        )
    assert status == "failed"
    assert "it died" in get_evaluation(engine, evaluation_id).status_reason


def test_a_waiting_evaluation_stops_at_once_and_a_live_one_is_asked(engine: Engine) -> None:
    waiting = evaluation(engine)
    assert stop_evaluation(engine, waiting) == "stopped"
    live = evaluation(engine)
    claimed = claim(engine)
    assert stop_evaluation(engine, live) == "starting"
    at = evaluation_standing(engine, *claimed, datetime.now(UTC))
    assert at.is_live
    assert at.stop_asked_s is not None
    assert attempt(engine, claimed).renew()
    attempt(engine, claimed).end("stopped", "as asked")
    for ended in (waiting, live):
        with pytest.raises(RunRefusedError, match="has not ended can be stopped"):
            stop_evaluation(engine, ended)
        requeue_ended_evaluation(engine, ended)
    assert not attempt(engine, claim(engine)).renew()


def test_one_that_was_asked_to_stop_and_then_dies_is_stopped(engine: Engine) -> None:
    evaluation_id = evaluation(engine)
    claimed = claim(engine)
    stop_evaluation(engine, evaluation_id)
    status = requeue(engine, *claimed, "it died", counts=True, job=BenchmarkEvaluation)
    assert status == "stopped"


def test_its_process_is_found_again_and_adopted(engine: Engine) -> None:
    evaluation_id = evaluation(engine)
    claimed = claim(engine)
    record_process(engine, *claimed, host="h", pid=7, started_at=1.5, job=BenchmarkEvaluation)
    [process] = live_processes(engine, "h", BenchmarkEvaluation)
    assert (process.run_id, process.pid) == (evaluation_id, 7)
    assert live_processes(engine, "h") == []
    assert adopt(engine, *claimed, worker_id="other", job=BenchmarkEvaluation)
    assert get_evaluation(engine, evaluation_id).worker_id == "other"


def test_only_one_process_begins_a_foreground_evaluation(engine: Engine) -> None:
    evaluation_id = evaluation(engine, foreground=True)
    assert begin_evaluation(engine, evaluation_id, lease_s=30) == 1
    with pytest.raises(RunRefusedError, match="must have ended"):
        begin_evaluation(engine, evaluation_id, lease_s=30)


def test_an_evaluation_of_a_run_is_listed_with_it(engine: Engine) -> None:
    run_id = create_run(engine, run_config(), origin="queue", owner="ada")
    of_run, other = evaluation(engine, run_id=run_id), evaluation(engine)
    assert [one.id for one in list_evaluations(engine, run_id=run_id)] == [of_run]
    assert {one.id for one in list_evaluations(engine)} == {of_run, other}
    assert get_evaluation(engine, of_run).parsed().benchmark == POPE


def test_ids_are_found_by_their_beginning(engine: Engine) -> None:
    evaluation_id = evaluation(engine)
    assert resolve_evaluation(engine, evaluation_id[:9]) == evaluation_id
    for unknown in ("", "zzzz"):
        with pytest.raises(UnknownEvaluationError, match="must exist"):
            resolve_evaluation(engine, unknown)


def test_a_run_that_goes_takes_no_evaluation_with_it(engine: Engine) -> None:
    run_id = create_run(engine, run_config(), origin="queue", owner="ada")
    evaluation_id = evaluation(engine, run_id=run_id)
    with writing(engine) as connection:
        connection.execute(Run.__table__.delete())  # type: ignore[attr-defined]
    assert get_evaluation(engine, evaluation_id).run_id is None


def test_the_difference_of_two_is_paired_by_item(engine: Engine) -> None:
    """Of four items ours is right in 1, 2 and 3, theirs in 1: differences 0, 1, 1, 0."""
    ours, theirs = done(engine, (1.0, 1.0, 1.0, 0.0)), done(engine, (1.0, 0.0, 0.0, 0.0))
    found = compare(engine, get_evaluation(engine, ours), get_evaluation(engine, theirs))
    assert (found.num_pairs, found.ours, found.theirs) == (4, 0.75, 0.25)
    assert (found.num_only_ours, found.num_only_theirs) == (2, 0)
    assert found.difference[:3] == pytest.approx((0.5, 0.5 - 0.49, 0.5 + 0.49), abs=0.001)


def test_evaluations_of_other_items_or_without_a_score_are_not_compared(engine: Engine) -> None:
    ours = get_evaluation(engine, done(engine, (1.0, 0.0)))
    other = get_evaluation(engine, done(engine, (1.0, 0.0), items_digest="e" * 64))
    with pytest.raises(RunRefusedError, match="differ in items_digest"):
        compare(engine, ours, other)
    with pytest.raises(RunRefusedError, match="that are done can be compared"):
        compare(engine, ours, get_evaluation(engine, evaluation(engine)))


def test_a_lease_of_the_foreground_that_is_over_fails_with_the_way_on(engine: Engine) -> None:
    evaluation_id = evaluation(engine, foreground=True)
    begin_evaluation(engine, evaluation_id, lease_s=30)
    with writing(engine) as connection:
        connection.execute(
            update(BenchmarkEvaluation).values(lease_until=datetime.now(UTC) - timedelta(minutes=1))
        )
    now = datetime.now(UTC)
    assert fail_abandoned_foreground_runs(engine, now, BenchmarkEvaluation) == [evaluation_id]
    assert "resume the evaluation" in get_evaluation(engine, evaluation_id).status_reason
