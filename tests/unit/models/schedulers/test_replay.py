"""A planner on the recorded views of a run: its own ranks, recorded statistics, marked gaps."""

from typing import Literal

import pytest
from typing_extensions import override

from rankscope.models.schedulers import PLANNERS
from rankscope.models.schedulers.allocation import uniform_ranks
from rankscope.models.schedulers.checked import PlannerError
from rankscope.models.schedulers.contract import (
    Apply,
    Decision,
    GradientEnergy,
    GradientEnergyResult,
    HeldOutCredit,
    HeldOutCreditResult,
    Keep,
    KnockOut,
    KnockOutResult,
    Measure,
    MeasurementRequest,
    MeasurementResult,
    Memory,
    ModuleState,
    ProbeLoss,
    ProbeLossResult,
    RankPlanner,
    View,
    WeightSensitivity,
    WeightSensitivityResult,
)
from rankscope.models.schedulers.fixed import Fixed
from rankscope.models.schedulers.gradient import Gradient
from rankscope.models.schedulers.hydra import Hydra
from rankscope.models.schedulers.replay import RecordedDecision, replay
from rankscope.models.schedulers.uniform import Uniform

Modules = tuple[ModuleState, ...]
BUDGET = 13_056
"""Rank 1 on every module of the embedded model."""
NUM_STEPS = 100


def answer(view: View, request: MeasurementRequest) -> MeasurementResult:
    """Later layers and MLPs matter more; the same at every step."""
    if isinstance(request, KnockOut):
        weight = {m.name: (1 + m.layer) * (1.0 if m.d_out == 128 else 3.0) for m in view.modules}
        rises = {
            group: sum(weight[name] for name in names) / 100
            for group, names in request.groups.items()
        }
        return KnockOutResult(loss=1.5, rise=rises, rise_se=dict.fromkeys(rises, 0.01))
    if isinstance(request, GradientEnergy):
        return GradientEnergyResult(energy={m.name: 1.0 + m.layer for m in view.modules})
    if isinstance(request, WeightSensitivity):
        return WeightSensitivityResult(sensitivity={m.name: 1.0 + m.layer for m in view.modules})
    if isinstance(request, HeldOutCredit):
        credit = {m.name: (m.layer - 1) / 100 for m in view.modules}
        return HeldOutCreditResult(
            loss=1.5,
            loss_se=0.1,
            credit=credit,
            credit_se=dict.fromkeys(credit, 0.01),
            fisher={name: value**2 for name, value in credit.items()},
        )
    return ProbeLossResult(loss=1.5, loss_se=0.1)


def record(
    planner: RankPlanner, modules: Modules
) -> tuple[list[RecordedDecision], list[dict[str, int]]]:
    """A run of the planner without training: what would be recorded, and the ranks after each."""
    ranks = uniform_ranks(modules, BUDGET)
    memory: Memory = {}
    recorded, after = [], []
    for step in planner.decision_steps(NUM_STEPS):
        view = View(
            step=step,
            num_steps=NUM_STEPS,
            budget=BUDGET,
            seed=4,
            modules=tuple(m.model_copy(update={"rank": ranks[m.name]}) for m in modules),
            train_loss=2.0,
        )
        measured: list[tuple[MeasurementRequest, MeasurementResult]] = []
        decision, memory = planner.plan(view, memory)
        while isinstance(decision, Measure):
            new = [(request, answer(view, request)) for request in decision.requests]
            measured += new
            results = tuple(result for _, result in new)
            view = view.model_copy(update={"measurements": (*view.measurements, *results)})
            decision, memory = planner.plan(view, memory)
        recorded.append(RecordedDecision(view=view, measured=tuple(measured)))
        ranks |= decision.ranks if isinstance(decision, Apply) else {}
        after.append(dict(ranks))
    return recorded, after


GIVEN = {"ranks": {"model.layers.3.mlp.up_proj": 16, "model.layers.0.self_attn.q_proj": 2}}
"""For the planner that works with nothing less."""

SURE = {"knock_out_log_sd": 0.3}
"""For hydra, which by default would not move on so little."""

SETTINGS: dict[type[RankPlanner], dict[str, object]] = {Fixed: {**GIVEN}, Hydra: {**SURE}}


@pytest.mark.parametrize(
    "planner",
    [t.model_validate(SETTINGS.get(t, {})) for t in PLANNERS],
    ids=lambda p: p.kind,
)
def test_a_planner_on_its_own_record_decides_the_same_again(
    planner: RankPlanner, embedded: Modules
) -> None:
    recorded, after = record(planner, embedded)
    decisions = replay(planner, recorded)
    assert [one.ranks for one in decisions] == after
    assert [one.step for one in decisions] == [one.view.step for one in recorded]
    assert not any(one.not_recorded or one.is_off_policy for one in decisions)
    cost = {m.name: m.cost for m in embedded}
    for one in decisions:
        assert one.params == sum(cost[name] * rank for name, rank in one.ranks.items()) <= BUDGET


def test_hydra_moves_ranks_in_this_record(embedded: Modules) -> None:
    """Otherwise the test above would prove little."""
    _, after = record(Hydra.model_validate(SURE), embedded)
    assert after[0] != after[1]


def test_ranks_that_differ_from_the_recorded_ones_are_marked(embedded: Modules) -> None:
    """Uniform on hydra's record, asked at step 0 only; hydra on uniform's from step 10 on."""
    recorded, _ = record(Hydra(), embedded)
    late = replay(OneRankMore(), recorded)
    assert [(one.step, one.is_off_policy) for one in late] == [(0, False), (20, True)]
    assert [one.view_of_step for one in late] == [0, 20]


class OneRankMore(RankPlanner):
    """Takes the first module's rank at step 0, gives it back at step 20."""

    kind: Literal["one_more"] = "one_more"

    @override
    def plan(self, view: View, memory: Memory) -> tuple[Decision, Memory]:
        return Apply(ranks={view.modules[0].name: int(view.step > 0)}, reason="its turn"), memory

    @override
    def decision_steps(self, num_steps: int) -> tuple[int, ...]:
        return (0, 20)


class Curious(RankPlanner):
    """Asks for the probe loss at its later steps and counts its decisions."""

    kind: Literal["curious"] = "curious"

    @override
    def plan(self, view: View, memory: Memory) -> tuple[Decision, Memory]:
        seen = {**memory, f"asked {view.step}": True}
        if view.step and not view.measurements:
            return Measure(requests=(ProbeLoss(num_items=8),)), seen
        return Keep(reason=", ".join(sorted(seen))), seen

    @override
    def decision_steps(self, num_steps: int) -> tuple[int, ...]:
        return (0, 10, 20)


def one_view(embedded: Modules, step: int) -> View:
    return View(step=step, num_steps=NUM_STEPS, budget=BUDGET, seed=0, modules=embedded)


def test_a_missing_measurement_is_marked_and_changes_neither_ranks_nor_memory(
    embedded: Modules,
) -> None:
    """Step 10 has no probe loss, step 20 has one: what was thought at step 10 is forgotten."""
    ask, loss = ProbeLoss(num_items=8), ProbeLossResult(loss=1.0, loss_se=0.1)
    recorded = [
        RecordedDecision(view=one_view(embedded, 0)),
        RecordedDecision(view=one_view(embedded, 10)),
        RecordedDecision(view=one_view(embedded, 20), measured=((ask, loss),)),
    ]
    first, gap, last = replay(Curious(), recorded)
    assert (gap.decision, gap.not_recorded) == (None, ("probe_loss",))
    assert gap.ranks == first.ranks == {m.name: 1 for m in embedded}
    assert last.decision == Keep(reason="asked 0, asked 20")


def test_a_measurement_of_another_step_or_size_is_no_answer(embedded: Modules) -> None:
    loss = ProbeLossResult(loss=1.0, loss_se=0.1)
    recorded = [
        RecordedDecision(view=one_view(embedded, 0)),
        RecordedDecision(view=one_view(embedded, 10), measured=((ProbeLoss(num_items=9), loss),)),
        RecordedDecision(view=one_view(embedded, 15), measured=((ProbeLoss(num_items=8), loss),)),
    ]
    _, other_size, other_step = replay(Curious(), recorded)
    assert other_size.not_recorded == ("probe_loss",)
    assert (other_step.step, other_step.view_of_step) == (20, 15)
    assert other_step.not_recorded == ("probe_loss",)


class AsksFor(RankPlanner):
    """Asks one question and tells the answer as its reason."""

    kind: Literal["asks_for"] = "asks_for"
    request: MeasurementRequest

    @override
    def plan(self, view: View, memory: Memory) -> tuple[Decision, Memory]:
        if not view.measurements:
            return Measure(requests=(self.request,)), memory
        return Keep(reason=view.measurements[0].model_dump_json()), memory


def test_part_of_a_recorded_knock_out_is_answered_from_it(embedded: Modules) -> None:
    names = [m.name for m in embedded]
    asked = KnockOut(groups={"a": (names[0],), "b": (names[1], names[2])}, num_items=8)
    result = KnockOutResult(loss=1.5, rise={"a": 0.5, "b": 0.25}, rise_se={"a": 0.1, "b": 0.2})
    recorded = [RecordedDecision(view=one_view(embedded, 0), measured=((asked, result),))]
    part = KnockOut(groups={"b": (names[1], names[2])}, num_items=8)
    (one,) = replay(AsksFor(request=part), recorded)
    expected = KnockOutResult(loss=1.5, rise={"b": 0.25}, rise_se={"b": 0.2})
    assert one.decision == Keep(reason=expected.model_dump_json())
    other = KnockOut(groups={"b": (names[1],)}, num_items=8)
    (one,) = replay(AsksFor(request=other), recorded)
    assert (one.decision, one.not_recorded) == (None, ("knock_out",))


def test_credit_measured_with_another_number_of_items_is_an_answer(embedded: Modules) -> None:
    view = one_view(embedded, 0)
    result = answer(view, HeldOutCredit(num_items=96))
    recorded = [
        RecordedDecision(view=view, measured=((HeldOutCredit(num_items=96), result),)),
    ]
    (one,) = replay(AsksFor(request=HeldOutCredit(num_items=32)), recorded)
    assert one.decision == Keep(reason=result.model_dump_json())


def test_gradient_on_the_record_of_a_run_without_gradients_keeps_the_start(
    embedded: Modules,
) -> None:
    recorded, after = record(Uniform(), embedded)
    (one,) = replay(Gradient(), recorded)
    assert (one.decision, one.not_recorded, one.ranks) == (None, ("gradient_energy",), after[0])


def test_saliency_of_components_it_does_not_have_is_hidden(embedded: Modules) -> None:
    first = embedded[0].model_copy(update={"saliency": (0.5,)})
    second = embedded[1].model_copy(update={"saliency": (0.25,)})
    modules = (first, second, *embedded[2:])
    seen: list[View] = []

    class Looks(OneRankMore):
        @override
        def plan(self, view: View, memory: Memory) -> tuple[Decision, Memory]:
            seen.append(view)
            return super().plan(view, memory)

    replay(Looks(), [RecordedDecision(view=one_view(modules, step)) for step in (0, 20)])
    assert [view.modules[0].saliency for view in seen] == [(0.5,), None]
    assert [view.modules[1].saliency for view in seen] == [(0.25,), (0.25,)]


class NeverSure(RankPlanner):
    """Asks without end."""

    kind: Literal["never_sure"] = "never_sure"

    @override
    def plan(self, view: View, memory: Memory) -> tuple[Decision, Memory]:
        return Measure(requests=(ProbeLoss(num_items=8),)), memory


def test_a_planner_that_never_decides_and_an_empty_record_are_refused(embedded: Modules) -> None:
    answered = (ProbeLoss(num_items=8), ProbeLossResult(loss=1.0, loss_se=0.1))
    recorded = [RecordedDecision(view=one_view(embedded, 0), measured=(answered,))]
    with pytest.raises(ValueError, match="never_sure asked for more at step 0; mend its plan"):
        replay(NeverSure(), recorded)
    with pytest.raises(ValueError, match="this run has none; replay a run whose scheduler is"):
        replay(NeverSure(), [])


def test_what_could_not_have_run_is_not_replayed(embedded: Modules) -> None:
    """Settings that the run's modules do not allow; a decision beyond the budget."""
    recorded = [RecordedDecision(view=one_view(embedded, 0))]
    with pytest.raises(ValueError, match=r"scheduler\.ranks must name adapted modules"):
        replay(Fixed(ranks={"nowhere": 1}), recorded)
    with pytest.raises(PlannerError, match="adapters must stay within 13,056 parameters"):
        replay(TakesAll(), recorded)


class TakesAll(RankPlanner):
    """The largest rank everywhere."""

    kind: Literal["takes_all"] = "takes_all"

    @override
    def plan(self, view: View, memory: Memory) -> tuple[Decision, Memory]:
        return Apply(ranks={m.name: m.max_rank for m in view.modules}, reason="all"), memory
