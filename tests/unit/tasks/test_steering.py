"""A planner's decisions made real: checked first, applied whole or not at all, told as events."""

from typing import Any, ClassVar, Literal, cast

import pytest
import torch
from pydantic import TypeAdapter
from typing_extensions import override

from rankscope.models.config import LoraSettings
from rankscope.models.events import (
    Decided,
    Event,
    Failed,
    LogLine,
    Measured,
    ParamsSampled,
    RanksChanged,
)
from rankscope.models.lora.spectra import singular_values
from rankscope.models.schedulers.contract import (
    MAX_MEASURE_ROUNDS,
    Apply,
    Decision,
    Keep,
    KnockOut,
    Measure,
    Memory,
    ProbeLoss,
    RankPlanner,
    Statistic,
    View,
)
from rankscope.models.schedulers.fixed import Fixed
from rankscope.tasks.measuring import Measurer
from rankscope.tasks.steering import Steering
from tests.unit.tasks import tiny

BUDGET = 496
"""Rank 1 everywhere."""

Q0, K0, Q1, K1 = (tiny.name_of(layer, kind) for layer in (0, 1) for kind in ("q_proj", "k_proj"))
GATE0, UP1 = tiny.name_of(0, "gate_proj"), tiny.name_of(1, "up_proj")


class Scripted(RankPlanner):
    """Decides what it was told to, one entry per call."""

    kind: Literal["scripted"] = "scripted"
    script: tuple[Decision, ...]

    @override
    def plan(self, view: View, memory: Memory) -> tuple[Decision, Memory]:
        calls = TypeAdapter(int).validate_python(memory.get("calls", 0))
        return self.script[calls % len(self.script)], {"calls": calls + 1}

    @override
    def decision_steps(self, num_steps: int) -> tuple[int, ...]:
        return (0, num_steps // 2)


class Watching(Scripted):
    """As above, and sees the saliency of components."""

    needs: ClassVar[frozenset[Statistic]] = frozenset({"saliency"})


class Spectral(Scripted):
    """As above, and sees singular values."""

    needs: ClassVar[frozenset[Statistic]] = frozenset({"singular_values"})


class Shell:
    """A run's steering with all that it says."""

    def __init__(self, planner: RankPlanner, **settings: Any) -> None:
        vlm = tiny.vlm()
        self.elastic = tiny.elastic_of(vlm, 1)
        self.events: list[Event] = []
        self.steering = Steering(
            planner,
            self.elastic,
            Measurer(self.elastic, vlm, tiny.part(8)),
            LoraSettings.model_validate({"max_rank": 4} | settings),
            budget=BUDGET,
            num_steps=10,
            seed=3,
            emit=self.events.append,
        )

    def decide(self, step: int = 5) -> None:
        self.steering.decide(step, 1.25, None)

    def failure(self) -> str:
        """Why the planner is no longer asked, as recorded and as remembered."""
        told = self.events[-1]
        assert isinstance(told, Decided)
        assert isinstance(told.decision, Failed)
        assert self.steering.failure == told.decision.reason
        assert not any(self.steering.is_due(step) for step in range(11))
        return told.decision.reason


def apply(ranks: dict[str, int], lr_factors: dict[str, float] | None = None) -> Apply:
    return Apply(ranks=ranks, reason="told to", lr_factors=lr_factors)


MOVE = apply({Q0: 0, GATE0: 0, K1: 2, UP1: 2})
"""Frees 32 + 40 parameters, then spends 32 + 40."""

ASK = Measure(requests=(ProbeLoss(num_items=4),))


@pytest.mark.parametrize(
    ("decision", "message"),
    [
        (apply({"nowhere": 1}), "known modules only, scripted at step 5 named nowhere"),
        (
            apply({Q0: 1}, lr_factors={"nowhere": 0.5}),
            "known modules only, scripted at step 5 named nowhere",
        ),
        (apply({Q0: 2}), "within 496 parameters, scripted at step 5 planned 528"),
        (apply({Q0: 0, K0: 5}), f"the rank of {K0} must lie in 0..4, scripted at step 5 gave 5"),
        (apply({K0: -1}), f"the rank of {K0} must lie in 0..4, scripted at step 5 gave -1"),
        (
            apply({Q0: 0}, lr_factors={K0: float("nan")}),
            f"factor must be finite and at least 0, scripted at step 5 gave nan to {K0}",
        ),
        (
            cast("Decision", apply({}).model_copy(update={"ranks": {K0: 0.5}})),
            f"must be well formed, that of scripted at step 5 is not (ranks.{K0}: Input should",
        ),
    ],
    ids=["module", "factor's module", "budget", "too high", "negative", "factor", "no number"],
)
def test_a_decision_that_breaks_the_contract_moves_nothing_and_is_the_last(
    decision: Apply, message: str
) -> None:
    """Rank 2 on one q_proj: 496 + 32 = 528."""
    shell = Shell(Scripted.model_construct(kind="scripted", script=(decision, MOVE)))
    before = shell.elastic.state()
    shell.decide()
    assert message in shell.failure()
    shell.decide(step=6)
    after = shell.elastic.state()
    assert after.ranks == before.ranks
    assert all((after.tensors[name] == tensor).all() for name, tensor in before.tensors.items())
    assert shell.steering.lr_factors == {}
    assert [event.kind for event in shell.events] == ["log_line", "decided"]


@pytest.mark.parametrize(
    ("settings", "ranks", "message"),
    [
        ({"min_rank": 1}, {Q0: 0}, r"must lie in 1\.\.4, scripted at step 5 gave 0"),
        (
            {"pins": {"layers.0.self_attn.q_proj": 1}},
            {Q0: 0},
            r"must lie in 1\.\.1, scripted at step 5 gave 0",
        ),
        (
            {"rank_multiple": 2},
            dict.fromkeys((Q0, K0), 0),
            "must be a multiple of 2, scripted at step 5 gave 1",
        ),
    ],
    ids=["minimum", "pin", "multiple"],
)
def test_bounds_pins_and_multiples_of_the_run_bind_every_planner(
    settings: dict[str, Any], ranks: dict[str, int], message: str
) -> None:
    shell = Shell(Scripted(script=(apply(ranks),)), **settings)
    shell.decide()
    with pytest.raises(AssertionError, match=message):
        raise AssertionError(shell.failure())
    assert set(shell.elastic.ranks().values()) == {1}


def test_a_planner_that_never_stops_asking_is_given_up_after_eight_answers() -> None:
    shell = Shell(Scripted(script=(ASK,)))
    before = shell.elastic.ranks()
    shell.decide()
    assert "after at most 8 measurements, scripted asked for more" in shell.failure()
    kinds = [event.kind for event in shell.events]
    assert kinds == [*["measured"] * MAX_MEASURE_ROUNDS, "log_line", "decided"]
    assert shell.elastic.ranks() == before


class Broken(Scripted):
    """Fails at its second decision, after it has moved ranks."""

    script: tuple[Decision, ...] = ()
    fault: Literal["raises", "forgets json", "no tuple", "no decision", "nan"]

    @override
    def plan(self, view: View, memory: Memory) -> tuple[Decision, Memory]:
        if view.step == 1:
            return MOVE, {"moved": True}
        memory["moved"] = "changed in place"
        match self.fault:
            case "raises":
                raise ZeroDivisionError("division by\nzero")
            case "forgets json":
                return Keep(reason="well so"), {"when": cast("str", object())}
            case "nan":
                return Keep(reason="well so"), {"loss": float("nan")}
            case "no decision":
                return cast("Decision", None), memory
        return cast("tuple[Decision, Memory]", None)


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("raises", "ZeroDivisionError: division by zero"),
        ("forgets json", "a planner's memory must be plain JSON, that of scripted at step 2 is"),
        ("nan", "a planner's memory must be plain JSON, that of scripted at step 2 is"),
        (
            "no decision",
            "a planner must decide Keep, Apply or Measure, scripted at step 2 gave NoneType",
        ),
        (
            "no tuple",
            "a planner must return a decision and its memory, scripted at step 2 returned NoneType",
        ),
    ],
)
def test_a_planner_that_breaks_down_leaves_ranks_and_memory_as_they_were(
    fault: str, message: str
) -> None:
    shell = Shell(Broken.model_validate({"fault": fault}))
    shell.decide(step=1)
    moved = shell.elastic.ranks()
    shell.decide(step=2)
    assert shell.failure().startswith(message)
    assert shell.elastic.ranks() == moved
    assert moved[Q0] == 0
    assert shell.steering.memory == {"moved": True}
    trace = shell.events[-2]
    assert isinstance(trace, LogLine)
    assert trace.level == "error"
    assert trace.text.startswith("Traceback")


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (ProbeLoss(num_items=9), "ValueError: a scheduler may measure on at most the 8 probe"),
        (KnockOut(groups={"a": ("x",)}, num_items=4), "ValueError: only adapted modules can be"),
    ],
    ids=["too many items", "unknown module"],
)
def test_a_measurement_that_fails_is_the_planners_last(
    request_: ProbeLoss | KnockOut, message: str
) -> None:
    shell = Shell(Scripted(script=(Measure(requests=(request_,)), MOVE)))
    was_training = shell.elastic.peft_model.training
    shell.decide()
    assert shell.failure().startswith(message)
    assert shell.elastic.peft_model.training == was_training
    shell.decide(step=6)
    assert set(shell.elastic.ranks().values()) == {1}


def test_a_statistic_that_cannot_be_had_is_a_failure_of_the_planner_that_needs_it() -> None:
    """Singular values of what is no number do not exist."""
    shell = Shell(Spectral(script=(MOVE,)))
    with torch.no_grad():
        shell.elastic.parameters_of(Q1)[0].fill_(float("nan"))
    shell.decide()
    assert "non-finite" in shell.failure()
    assert set(shell.elastic.ranks().values()) == {1}


def test_what_a_planner_cannot_work_with_is_refused_at_the_start() -> None:
    with pytest.raises(ValueError, match=r"scheduler\.ranks must fit the budget of 496 parameters"):
        Shell(Fixed(ranks=dict.fromkeys((Q0, K0, Q1, K1), 4)))
    with pytest.raises(ValueError, match=r"lora\.pins must match at least one of the 14 adapted"):
        Shell(Scripted(script=(MOVE,)), pins={"nowhere": 1})


def test_a_move_is_told_as_decision_then_samples_then_ranks() -> None:
    """Moved: (32 + 40 + 32 + 40) / 2 = 72.

    Four modules, two tensors each, and the count before: 9 samples. A row of A goes, 16 inputs,
    then a column of B: q_proj 496 -> 480 -> 464, gate_proj (16 in, 24 out) -> 448 -> 424, k_proj ->
    440 -> 456, up_proj -> 472 -> 496.
    """
    shell = Shell(Scripted(script=(MOVE,)))
    shell.decide()
    kinds = [event.kind for event in shell.events]
    assert kinds == ["decided", *["params_sampled"] * 9, "ranks_changed"]
    samples = [event for event in shell.events if isinstance(event, ParamsSampled)]
    assert [s.live_params for s in samples] == [496, 480, 464, 448, 424, 440, 456, 472, 496]
    assert [s.sample for s in samples] == list(range(1, 10))
    change = shell.events[-1]
    assert isinstance(change, RanksChanged)
    assert change.ranks == MOVE.ranks
    assert (change.moved_params, change.live_params, change.cause) == (72, 496, "scheduler")
    assert all(event.step == 5 for event in shell.events)
    assert shell.elastic.ranks() == dict.fromkeys(shell.elastic.ranks(), 1) | MOVE.ranks


def test_sample_numbers_go_on_over_decisions() -> None:
    back = apply({Q0: 1, GATE0: 1, K1: 1, UP1: 1})
    shell = Shell(Scripted(script=(MOVE, back)))
    shell.decide()
    shell.decide(step=6)
    samples = [event for event in shell.events if isinstance(event, ParamsSampled)]
    assert [s.sample for s in samples] == list(range(1, 19))
    assert max(s.live_params for s in samples) <= BUDGET


def test_a_decision_at_step_zero_is_the_start() -> None:
    shell = Shell(Scripted(script=(MOVE,)))
    shell.decide(step=0)
    change = shell.events[-1]
    assert isinstance(change, RanksChanged)
    assert change.cause == "start"


@pytest.mark.parametrize("decision", [Keep(reason="well so"), apply({Q0: 1})])
def test_what_changes_no_rank_is_told_as_a_decision_only(decision: Decision) -> None:
    shell = Shell(Scripted(script=(decision,)))
    shell.decide()
    assert [event.kind for event in shell.events] == ["decided"]
    told = shell.events[0]
    assert isinstance(told, Decided)
    assert told.decision == decision


def test_learning_rate_factors_stay_until_a_planner_sets_others() -> None:
    script = (
        apply({Q0: 0}, lr_factors={K0: 0.5}),
        apply({Q0: 1}),
        Keep(reason="well so"),
        apply({}, lr_factors={K1: 0.25}),
    )
    shell = Shell(Scripted(script=script))
    seen = []
    for step in (1, 2, 3, 4):
        shell.decide(step=step)
        seen.append(dict(shell.steering.lr_factors))
    assert seen == [{K0: 0.5}, {K0: 0.5}, {K0: 0.5}, {K1: 0.25}]


def test_answers_are_shown_together_and_recorded_with_their_price() -> None:
    shell = Shell(Scripted(script=(ASK, ASK, Keep(reason="enough"))))
    shell.decide()
    first, second, told = shell.events
    assert isinstance(first, Measured)
    assert isinstance(second, Measured)
    assert isinstance(told, Decided)
    assert (first.request, first.cost_items) == (ASK, 4)
    assert told.view.measurements == (*first.results, *second.results)
    assert len(told.view.measurements) == 2
    assert shell.steering.memory == {"calls": 3}


def test_a_planner_sees_its_run_and_bounds_clipped_to_each_matrix() -> None:
    """A rank of 99 is allowed; the smaller side of every matrix is 16."""
    shell = Shell(Scripted(script=(Keep(reason="well so"),)), max_rank=99)
    shell.decide()
    told = shell.events[0]
    assert isinstance(told, Decided)
    view = told.view
    assert (view.step, view.num_steps, view.budget, view.seed) == (5, 10, BUDGET, 3)
    assert view.train_loss == 1.25
    assert [module.name for module in view.modules] == list(shell.elastic.ranks())
    assert {(m.rank, m.min_rank, m.max_rank, m.pinned) for m in view.modules} == {(1, 0, 16, False)}
    assert all(module.saliency is None for module in view.modules)


def test_saliency_is_collected_for_those_who_ask_and_follows_the_ranks() -> None:
    """Per component |b . dB| after one backward pass; a module grown from 1 to 2 adds a 0."""
    script = (Keep(reason="look"), MOVE, Keep(reason="look"))
    shell = Shell(Watching(script=script))
    assert Shell(Scripted(script=script)).steering.saliency is None
    vlm = tiny.vlm()
    part = tiny.part(4)
    batch = vlm.processor.training_batch(part.examples(range(4)))
    shell.elastic.peft_model(**batch).loss.backward()
    assert shell.steering.saliency is not None
    shell.steering.saliency.update()
    for step in (1, 2, 3):
        shell.decide(step=step)
    views = [event.view for event in shell.events if isinstance(event, Decided)]
    first, last = ({m.name: m.saliency or () for m in views[i].modules} for i in (0, 2))
    assert first[K1][0] > 0
    assert last[K1] == (*first[K1], 0.0)
    assert last[Q0] == ()
    assert last[Q1] == first[Q1]


def test_a_planner_is_due_at_its_own_steps_only() -> None:
    steering = Shell(Scripted(script=(MOVE,))).steering
    assert [step for step in range(11) if steering.is_due(step)] == [0, 5]


class Measuring(Scripted):
    """As above, and sees the singular values of adapters."""

    needs: ClassVar[frozenset[Statistic]] = frozenset({"singular_values"})


def test_singular_values_are_those_of_the_present_adapters_for_those_who_ask() -> None:
    shell = Shell(Measuring(script=(MOVE, Keep(reason="enough"))))
    before = singular_values(shell.elastic)
    shell.decide(4)
    shell.decide(5)
    first, second = (event.view for event in shell.events if isinstance(event, Decided))
    assert {m.name: m.singular_values for m in first.modules} == before
    assert {m.name: m.singular_values for m in second.modules} == singular_values(shell.elastic)
    assert all(len(m.singular_values or ()) == m.rank for m in second.modules)
    assert all(m.saliency is None for m in first.modules)
