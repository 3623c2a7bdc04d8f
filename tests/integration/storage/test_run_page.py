import json
from typing import Any

import pytest
from sqlalchemy import Engine, insert

from rankscope.models.events import Event, LogLine
from rankscope.storage.curves import MAX_POINTS
from rankscope.storage.database import writing
from rankscope.storage.errors import UnknownRunError
from rankscope.storage.ids import event_id
from rankscope.storage.live import form_of, to_json
from rankscope.storage.pulse import pulses
from rankscope.storage.run_page import MAX_RANK_FORMS, run_page
from rankscope.storage.tables import Metric
from tests.integration.storage.examples import (
    T0,
    checkpoint,
    decided,
    evaluated,
    inventory,
    measured,
    new_run,
    new_sink,
    ranks_changed,
    sampled,
    status,
    step_done,
)


def test_history_has_the_forms_that_were_streamed(engine: Engine) -> None:
    run_id = new_run(engine)
    said: list[Event] = [
        status("running", reason="training"),
        sampled(0, 48),
        ranks_changed(0, {0: 2, 1: 2, 2: 2}, cause="start"),
        step_done(1),
        step_done(2, loss=float("nan")),
        measured(2),
        decided(2),
        ranks_changed(2, {2: 0, 1: 5}),
        evaluated(2, [True, False, True], when="during", part="validation"),
        checkpoint(2),
        LogLine(step=2, time=T0, level="info", text="so far"),
    ]
    with new_sink(engine, run_id) as sink:
        for event in said:
            sink.emit(event)
    page = run_page(engine, run_id)
    index_of = {module.name: index for index, module in enumerate(inventory().modules)}
    streamed: dict[str, list[Any]] = {}
    for number, event in enumerate(said, start=1):
        form = form_of(event, event_id(1, number), index_of)
        if form is not None:
            streamed.setdefault(form["k"], []).append(form)
    assert page["rank_changes"] == streamed["ranks"]
    assert page["decisions"] == streamed["decided"]
    assert page["measurements"] == streamed["measured"]
    assert page["evaluations"] == streamed["evaluated"]
    assert page["checkpoints"] == streamed["checkpoint"]
    assert page["log"] == streamed["log"]
    for name in ("step", "loss", "lr", "grad_norm", "step_s"):
        assert page["metrics"][name] == [form[name] for form in streamed["step"]]
    assert page["cursor"] == event_id(1, len(said))
    assert (page["ranks"], page["max_rank"]) == ([2, 5, 0], 5)
    assert [module["cost"] for module in page["modules"]] == [16, 16, 16]
    run = page["run"]
    assert (run["status"], run["step"], run["scheduler"], run["data"]) == (
        *("running", 2, "uniform", "easy_vqa"),
    )
    assert run["decision_steps"] == [0]
    assert page["summary"]["decisions"] == 1
    assert page["artifacts"] == [
        {"kind": "checkpoint", "path": "checkpoints/step-2", "size_bytes": 100, "step": 2}
    ]
    json.loads(to_json(page))


def test_a_run_that_has_said_nothing_has_a_page(engine: Engine) -> None:
    run_id = new_run(engine)
    page = run_page(engine, run_id)
    assert (page["cursor"], page["ranks"], page["rank_changes"]) == (0, None, [])
    assert page["metrics"]["loss"] == []
    assert page["num_metric_rows"] == 0
    json.loads(to_json(page))
    with pytest.raises(UnknownRunError, match="must exist"):
        run_page(engine, "nosuchrun0")


def add_steps(engine: Engine, run_id: str, losses: list[float | None]) -> None:
    common = {"run_id": run_id, "lr": 0.1, "grad_norm": 1.0, "step_s": 0.1, "time": T0}
    rows = [common | {"step": i + 1, "loss": loss} for i, loss in enumerate(losses)]
    rows[7_000]["grad_norm"] = 50.0
    with writing(engine) as connection:
        connection.execute(insert(Metric), rows)


def test_curves_of_a_long_run_are_thinned_and_keep_every_spike(engine: Engine) -> None:
    run_id = new_run(engine)
    losses: list[float | None] = [2.0 + (step % 7) / 100 for step in range(20_000)]
    losses[3_333], losses[12_345], losses[50] = 9.0, 0.5, None
    add_steps(engine, run_id, losses)
    page = run_page(engine, run_id)
    metrics = page["metrics"]
    assert page["num_metric_rows"] == 20_000
    assert MAX_POINTS / 2 < len(metrics["step"]) <= MAX_POINTS
    assert metrics["step"] == sorted(set(metrics["step"]))  # type: ignore[type-var]
    shown = dict(zip(metrics["step"], metrics["loss"], strict=True))
    assert shown[3_334] == 9.0
    assert shown[12_346] == 0.5
    assert metrics["step"][-1] == 20_000
    assert max(metrics["grad_norm"]) == 50.0  # type: ignore[type-var]
    assert all(losses[int(step) - 1] == loss for step, loss in shown.items() if step)


def test_a_loss_that_never_changes_is_thinned_too(engine: Engine) -> None:
    run_id = new_run(engine)
    add_steps(engine, run_id, [1.5] * 20_000)
    assert len(run_page(engine, run_id)["metrics"]["step"]) <= MAX_POINTS


def test_many_changes_of_ranks_are_merged_and_end_in_the_same_map(engine: Engine) -> None:
    run_id = new_run(engine)
    with new_sink(engine, run_id) as sink:
        sink.emit(ranks_changed(0, {0: 1, 1: 1, 2: 1}, cause="start", moved=0))
        for step in range(1, 2_500):
            sink.emit(ranks_changed(step, {step % 3: step % 5}, cause="observed"))
    page = run_page(engine, run_id)
    changes = page["rank_changes"]
    assert len(changes) <= MAX_RANK_FORMS + 1
    assert (changes[0]["cause"], changes[0]["ranks"]) == ("start", [1, 1, 1])
    assert page["ranks"] == [
        2497 % 5 if i == 1 else 2499 % 5 if i == 0 else 2498 % 5 for i in range(3)
    ]
    assert sum(form["moved"] for form in changes) == 16 * 2_499


def test_the_pulse_of_runs_leaves_out_those_there_are_not(engine: Engine) -> None:
    run_id = new_run(engine)
    with new_sink(engine, run_id) as sink:
        sink.emit(step_done(3))
    found = pulses(engine, [run_id, "nosuchrun0"])
    assert list(found) == [run_id]
    assert found[run_id].run["step"] == 3
    assert found[run_id].run["last_event_id"] == event_id(1, 1)
    assert found[run_id].worker_seen_at is None
    json.loads(to_json(found[run_id].run))
