"""A planner's decisions made real: checked first, applied whole or not at all, told as events."""

from typing import ClassVar, Literal

import pytest
from pydantic import TypeAdapter
from typing_extensions import override

from rankscope.models.config import LoraSettings
from rankscope.models.events import Decided, Event, Measured, ParamsSampled, RanksChanged
from rankscope.models.schedulers.contract import (
    MAX_MEASURE_ROUNDS,
    Apply,
    Decision,
    Keep,
    Measure,
    Memory,
    ProbeLoss,
    RankPlanner,
    Statistic,
    View,
)
from rankscope.tasks.measuring import Measurer
from rankscope.tasks.steering import PlannerError, Steering
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


class Shell:
    """A run's steering with all that it says."""

    def __init__(self, planner: RankPlanner, *, max_rank: int = 4, min_rank: int = 0) -> None:
        vlm = tiny.vlm()
        self.elastic = tiny.elastic_of(vlm, 1)
        self.events: list[Event] = []
        self.steering = Steering(
            planner,
            self.elastic,
            Measurer(self.elastic, vlm, tiny.part(8)),
            LoraSettings(min_rank=min_rank, max_rank=max_rank),
            budget=BUDGET,
            num_steps=10,
            seed=3,
            emit=self.events.append,
        )

    def decide(self, step: int = 5) -> None:
        self.steering.decide(step, 1.25, None)


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
    ],
    ids=["unknown module", "unknown factor", "over budget", "too high", "negative"],
)
def test_a_decision_that_breaks_the_contract_is_refused_and_moves_nothing(
    decision: Apply, message: str
) -> None:
    """Rank 2 on one q_proj: 496 + 32 = 528."""
    shell = Shell(Scripted(script=(decision,)))
    before = shell.elastic.state()
    with pytest.raises(PlannerError) as caught:
        shell.decide()
    assert message in str(caught.value)
    after = shell.elastic.state()
    assert after.ranks == before.ranks
    assert all((after.tensors[name] == tensor).all() for name, tensor in before.tensors.items())
    assert shell.steering.lr_factors == {}
    assert not any(isinstance(event, RanksChanged) for event in shell.events)


def test_a_rank_below_the_configured_minimum_is_refused() -> None:
    shell = Shell(Scripted(script=(apply({Q0: 0}),)), min_rank=1)
    with pytest.raises(PlannerError, match=r"must lie in 1\.\.4, scripted at step 5 gave 0"):
        shell.decide()
    assert shell.elastic.ranks()[Q0] == 1


def test_a_planner_that_never_stops_asking_is_refused_after_eight_answers() -> None:
    shell = Shell(Scripted(script=(ASK,)))
    before = shell.elastic.ranks()
    with pytest.raises(PlannerError, match="after at most 8 measurements, scripted asked for more"):
        shell.decide()
    assert [event.kind for event in shell.events] == ["measured"] * MAX_MEASURE_ROUNDS
    assert shell.elastic.ranks() == before


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
    batch = vlm.processor.training_batch(
        part.images_of(range(4)), list(part.questions), list(part.answers)
    )
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
