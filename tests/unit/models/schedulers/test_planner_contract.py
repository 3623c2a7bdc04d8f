"""What every planner keeps, whatever the model, the budget and the measurements."""

import copy
import json
import random
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from rankscope.models.schedulers import PLANNERS, AnyScheduler
from rankscope.models.schedulers.contract import (
    Apply,
    GradientEnergyResult,
    HeldOutCreditResult,
    Keep,
    KnockOut,
    KnockOutResult,
    Measure,
    MeasurementRequest,
    MeasurementResult,
    ModuleState,
    ProbeLossResult,
    RankPlanner,
    View,
    WeightSensitivityResult,
)
from rankscope.models.schedulers.hydra import Hydra
from rankscope.models.schedulers.offline.model import OfflineModel
from tests.unit.models.schedulers.taught import teacher

Drive = Callable[..., list[Any]]

EVERY_PLANNER = pytest.mark.parametrize(
    "planner", [t.model_validate({}) for t in PLANNERS], ids=lambda p: p.kind
)

LEVELS_OFF = (
    Hydra(coarse=False),
    Hydra(fine=False),
    Hydra(dynamic=False),
    Hydra(coarse=False, fine=False),
)
EVERY_WAY_TO_PLAN = pytest.mark.parametrize(
    "planner",
    [*(t.model_validate({}) for t in PLANNERS), *LEVELS_OFF],
    ids=lambda p: " without ".join((p.kind, *(name for name, on in p if on is False))),
)
"""Every planner, and those that switch much of themselves off."""


class Run(NamedTuple):
    """What a planner meets."""

    modules: tuple[ModuleState, ...]
    budget: int
    seed: int
    offline: OfflineModel | None


@st.composite
def inventories(draw: st.DrawFn) -> tuple[ModuleState, ...]:
    """Language layers with an MLP, perhaps a vision tower; uneven bounds, pins, multiples.

    Up to four shapes, so one to four cost classes.
    """
    side = st.sampled_from([3, 5, 8, 64, 128])
    shapes = draw(st.lists(st.tuples(side, side), min_size=1, max_size=4))
    multiple = draw(st.sampled_from([1, 1, 1, 2, 4]))
    parts = [("language", draw(st.integers(1, 4)), ["q_proj", "up_proj", "down_proj"])]
    if draw(st.booleans()):
        parts.append(("vision", draw(st.integers(1, 2)), ["fc1", "out_proj"]))
    modules = []
    for part, num_layers, types in parts:
        for layer in range(num_layers):
            for kind in types:
                low = multiple * draw(st.sampled_from([0, 0, 0, 1, 2]))
                high = low + multiple * draw(st.integers(0, 6))
                pinned = draw(st.sampled_from([False] * 7 + [True]))
                rank = multiple * draw(st.integers(low // multiple, high // multiple))
                d_in, d_out = draw(st.sampled_from(shapes))
                modules.append(
                    ModuleState(
                        name=f"{part}.{layer}.{kind}",
                        part=part,
                        layer=layer,
                        type=kind,
                        d_in=d_in,
                        d_out=d_out,
                        rank=rank,
                        min_rank=rank if pinned else low,
                        max_rank=rank if pinned else high,
                        pinned=pinned,
                        multiple=multiple,
                    )
                )
    return tuple(modules)


@st.composite
def settings_of_a_run(draw: st.DrawFn) -> Run:
    """Modules, a budget that at least carries the minimum ranks, a seed for the answers.

    Perhaps with what past runs taught, useful or not.
    """
    modules = draw(inventories())
    least = sum(m.cost * m.min_rank for m in modules)
    most = sum(m.cost * m.max_rank for m in modules)
    budget, seed = draw(st.integers(least, most + 50)), draw(st.integers(0, 2**16))
    is_useful = draw(st.sampled_from([None, True, False]))
    offline = None if is_useful is None else teacher(modules, is_useful=is_useful, seed=seed)
    return Run(modules, budget, seed, offline)


def answers(seed: int) -> Callable[[View, MeasurementRequest], MeasurementResult]:
    """Plausible, silly, flat or broken results, by seed; equal for equal questions."""
    spread = [0.0, 0.01, 1.0, 100.0, np.nan][seed % 5]

    def answer(view: View, request: MeasurementRequest) -> MeasurementResult:
        rng = np.random.default_rng([seed, view.step])
        if isinstance(request, KnockOut):
            rises = {name: float(spread * rng.normal()) for name in sorted(request.groups)}
            noise = {name: float(abs(rng.normal()) / 100) for name in rises}
            return KnockOutResult(loss=float(3 * rng.random()), rise=rises, rise_se=noise)
        if request.kind == "gradient_energy":
            names = sorted(m.name for m in view.modules)
            energy = {name: float(spread * rng.random()) for name in names}
            return GradientEnergyResult(energy=energy)
        if request.kind == "weight_sensitivity":
            names = sorted(m.name for m in view.modules)
            sensitivity = {name: float(spread * rng.random()) for name in names}
            return WeightSensitivityResult(sensitivity=sensitivity)
        if request.kind == "held_out_credit":
            names = sorted(m.name for m in view.modules)
            credit = {name: float(spread * rng.normal()) for name in names}
            return HeldOutCreditResult(
                loss=float(3 * rng.random()),
                loss_se=0.1,
                credit=credit,
                credit_se={name: float(abs(rng.normal()) / 100) for name in names},
                fisher={name: value**2 for name, value in credit.items()},
            )
        return ProbeLossResult(loss=float(rng.random()), loss_se=0.1)

    return answer


@EVERY_WAY_TO_PLAN
@given(run=settings_of_a_run())
@settings(max_examples=30, deadline=None)
def test_ranks_never_leave_the_budget_or_the_bounds_and_only_known_modules_are_named(
    planner: RankPlanner,
    drive: Drive,
    run: Run,
) -> None:
    for view, _, decision in drive(
        planner, run.modules, run.budget, answers(run.seed), offline=run.offline
    ):
        if not isinstance(decision, Apply):
            continue
        known = {m.name: m for m in view.modules}
        assert decision.ranks.keys() <= known.keys()
        assert decision.reasons.keys() <= known.keys()
        assert (decision.lr_factors or {}).keys() <= known.keys()
        ranks = {name: decision.ranks.get(name, m.rank) for name, m in known.items()}
        assert all(m.min_rank <= ranks[name] <= m.max_rank for name, m in known.items())
        assert all(ranks[name] == m.rank for name, m in known.items() if m.pinned)
        assert all(ranks[name] % m.multiple == 0 for name, m in known.items())
        assert sum(m.cost * ranks[name] for name, m in known.items()) <= run.budget


@EVERY_WAY_TO_PLAN
@given(run=settings_of_a_run())
@settings(max_examples=6, deadline=None)
def test_at_most_three_questions_are_asked_before_a_decision(
    planner: RankPlanner,
    drive: Drive,
    run: Run,
) -> None:
    for view, _, decision in drive(
        planner, run.modules, run.budget, answers(run.seed), offline=run.offline
    ):
        assert isinstance(decision, Apply | Keep)
        assert len(view.measurements) <= 3


@EVERY_WAY_TO_PLAN
@given(run=settings_of_a_run(), order=st.randoms(use_true_random=False))
@settings(max_examples=10, deadline=None)
def test_a_decision_is_a_pure_function_that_ignores_the_order_of_modules(
    planner: RankPlanner,
    drive: Drive,
    run: Run,
    order: random.Random,
) -> None:
    for view, memory, decision in drive(
        planner, run.modules, run.budget, answers(run.seed), offline=run.offline
    ):
        untouched = copy.deepcopy(memory)
        again, left = planner.plan(view, memory)
        assert memory == untouched
        shuffled = list(view.modules)
        order.shuffle(shuffled)
        other, other_left = planner.plan(
            view.model_copy(update={"modules": tuple(shuffled)}), memory
        )
        assert again == decision == other
        assert left == other_left


@EVERY_WAY_TO_PLAN
@given(run=settings_of_a_run())
@settings(max_examples=10, deadline=None)
def test_memory_and_decision_survive_json(
    planner: RankPlanner,
    drive: Drive,
    run: Run,
) -> None:
    for view, memory, decision in drive(
        planner, run.modules, run.budget, answers(run.seed), offline=run.offline
    ):
        _, left = planner.plan(view, memory)
        assert json.loads(json.dumps(left, allow_nan=False)) == left
        assert type(decision).model_validate_json(decision.model_dump_json()) == decision


@EVERY_WAY_TO_PLAN
@given(num_steps=st.integers(1, 100_000))
@settings(deadline=None)
def test_decision_steps_ascend_within_the_run(planner: RankPlanner, num_steps: int) -> None:
    steps = planner.decision_steps(num_steps)
    assert list(steps) == sorted(set(steps))
    assert steps[0] >= 0
    assert steps[-1] <= num_steps


@EVERY_PLANNER
def test_questions_name_known_modules_once(
    planner: RankPlanner, embedded: tuple[ModuleState, ...]
) -> None:
    for step in (0, 10):
        view = View(step=step, num_steps=100, budget=13056, seed=0, modules=embedded)
        decision, memory = planner.plan(view, {})
        assert memory == {}
        requests = decision.requests if isinstance(decision, Measure) else ()
        for request in requests:
            for members in request.groups.values() if isinstance(request, KnockOut) else ():
                assert len(set(members)) == len(members) > 0
                assert set(members) <= {m.name for m in embedded}


@EVERY_PLANNER
def test_the_kind_finds_the_planner_and_defaults_round_trip(
    planner: RankPlanner,
) -> None:
    adapter: TypeAdapter[Any] = TypeAdapter(AnyScheduler)
    assert adapter.validate_python({"kind": planner.kind}) == planner
    assert adapter.validate_json(planner.model_dump_json()) == planner


@EVERY_PLANNER
def test_every_setting_is_described(planner: RankPlanner) -> None:
    settings_ = {k: f for k, f in type(planner).model_fields.items() if k != "kind"}
    assert all(field.description for field in settings_.values())
