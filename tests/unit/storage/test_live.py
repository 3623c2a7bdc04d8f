import json

import pytest

from rankscope.models.events import Decided, Evaluated, Event, LogLine, Measured, StepDone
from rankscope.models.inventory import AdaptableModule
from rankscope.models.schedulers.contract import (
    Apply,
    Keep,
    KnockOut,
    KnockOutResult,
    Measure,
    ModuleState,
    Reason,
    View,
)
from rankscope.storage.live import RELOAD, fill_in_realised, form_of, to_json, wire_text
from tests.integration.storage.examples import (
    checkpoint,
    decided,
    evaluated,
    failed,
    measured,
    ranks_changed,
    resumed,
    sampled,
    status,
    step_done,
)

INDEX_OF = {f"model.layers.{i}.q_proj": i for i in range(3)}
NAN = float("nan")


def module(index: int, rank: int) -> ModuleState:
    place = AdaptableModule(
        name=f"model.layers.{index}.q_proj",
        part="language",
        layer=index,
        type="q_proj",
        d_in=8,
        d_out=8,
    )
    return ModuleState(**place.model_dump(), rank=rank, min_rank=0, max_rank=8)


def decision(step: int, what: Apply | Keep) -> Decided:
    modules = tuple(module(index, 2) for index in range(3))
    view = View(step=step, num_steps=9, budget=64, seed=0, modules=modules)
    return Decided(step=step, time=1.0, view=view, decision=what)


def test_a_decision_tells_its_moves_in_words_and_figures_best_first() -> None:
    names = list(INDEX_OF)
    reasons = {
        names[0]: Reason(text="L0 q_proj 2 -> 1, pays for", predicted_gain=-0.1),
        names[1]: Reason(text="L1 q_proj 2 -> 3", predicted_gain=0.4, predicted_gain_sd=0.1),
    }
    ranks = {names[0]: 1, names[1]: 3, names[2]: 2}
    what = Apply(ranks=ranks, reasons=reasons, reason="moved", predicted_gain=0.3, threshold=0.1)
    form = form_of(decision(4, what), 7, INDEX_OF)
    assert form is not None
    assert (form["k"], form["id"], form["step"], form["at"]) == ("decided", 7, 4, 1.0)
    assert (form["kind"], form["reason"], form["gain"]) == ("apply", "moved", 0.3)
    assert (form["winner"], form["loser"]) == ("L1 q_proj", "L0 q_proj")
    assert [(m["module"], m["from"], m["to"], m["gain"]) for m in form["moves"]] == [
        (1, 2, 3, 0.4),
        (0, 2, 1, -0.1),
    ]
    assert form["moves"][0]["reason"] == "L1 q_proj 2 -> 3"


def test_a_scheduler_that_failed_is_told_as_a_decision_without_moves() -> None:
    form = form_of(failed(4, "no luck"), 7, INDEX_OF)
    assert form is not None
    assert (form["k"], form["kind"], form["reason"]) == ("decided", "failed", "no luck")
    assert (form["moves"], form["gain"], form["realised_before"]) == ([], None, None)


def test_what_a_move_brought_is_known_from_the_next_decision_on() -> None:
    moved = Apply(ranks={next(iter(INDEX_OF)): 3}, reason="moved")
    whats: list[Apply | Keep] = [
        moved,
        Keep(reason="unsure", realised_gain=0.02),
        Keep(reason="unsure"),
    ]
    forms = [form_of(decision(i, what), i + 1, INDEX_OF) for i, what in enumerate(whats)]
    decisions = [form for form in forms if form is not None]
    fill_in_realised(decisions)
    assert [form["realised"] for form in decisions] == [0.02, None, None]
    assert decisions[1]["realised_before"] == 0.02
    assert decisions[1]["moves"] == []


def test_a_measurement_says_what_it_was_and_what_it_cost() -> None:
    request = Measure(requests=(KnockOut(groups={"a": ("x",), "b": ("y",)}, num_items=32),))
    result = KnockOutResult(loss=1.5, rise={}, rise_se={})
    event = Measured(
        step=3, time=0.0, request=request, results=(result,), cost_s=0.2, cost_items=96
    )
    form = form_of(event, 1, INDEX_OF)
    assert form is not None
    assert form["what"] == "knock out of 2 groups on 32 items"
    assert (form["probe_loss"], form["probe_loss_se"], form["cost_items"]) == (1.5, None, 96)


def test_setting_out_from_training_data_is_told_as_a_measurement_nobody_asked_for() -> None:
    event = Measured(step=0, time=0.0, request=None, results=(), cost_s=0.2, cost_items=96)
    form = form_of(event, 1, INDEX_OF)
    assert form is not None
    assert form["what"] == "start from training data"
    assert (form["probe_loss"], form["cost_items"]) == (None, 96)


def test_a_score_comes_with_its_interval_over_items() -> None:
    form = form_of(evaluated(3, [True, False]), 1, INDEX_OF)
    assert form is not None
    # Wilson's interval of 1 of 2 by hand: 0.5 -+ z sqrt(1/8 + z^2/16) / (1 + z^2/2), z = 1.96
    assert (form["low"], form["high"]) == pytest.approx((0.0945, 0.9055), abs=1e-4)
    assert (form["num_items"], form["loss"]) == (2, 0.25)


def test_every_form_is_json_that_a_browser_reads() -> None:
    odd: list[Event] = [
        StepDone(step=1, time=0.0, loss=NAN, lr=0.1, grad_norm=float("inf"), step_s=0.1),
        Evaluated(
            step=1,
            time=0.0,
            part="test",
            when="after",
            accuracy=0.0,
            accuracy_by_skill={"none": NAN},
            correct=(),
            duration_s=0.0,
        ),
        decision(1, Keep(reason="", predicted_gain=NAN, threshold=float("inf"))),
    ]
    usual: list[Event] = [
        *(status("done"), step_done(1), ranks_changed(1, {0: 3}), sampled(1, 9), measured(1)),
        *(evaluated(1, [True]), checkpoint(1), decided(1), resumed(1, attempt=2)),
        LogLine(step=1, time=0.0, level="info", text="\ud800 is half a character"),
    ]
    for event in [*odd, *usual]:
        form = form_of(event, 5, INDEX_OF)
        if form is not None:
            assert json.loads(to_json(form).encode("ascii"))["id"] == 5


def test_what_no_form_can_tell_asks_for_a_reload() -> None:
    assert wire_text(resumed(3, attempt=2), 1, INDEX_OF) == RELOAD
    assert wire_text(sampled(0, 48), 1, INDEX_OF) == RELOAD  # training begins
    assert wire_text(sampled(0, 48, 1), 2, INDEX_OF) == ""
    assert wire_text(sampled(9, 48, 9), 2, INDEX_OF) == ""


def test_a_line_longer_than_anybody_reads_is_cut() -> None:
    line = LogLine(step=1, time=0.0, level="error", text="x" * 10**6)
    assert len(wire_text(line, 1, INDEX_OF)) < 30_000
