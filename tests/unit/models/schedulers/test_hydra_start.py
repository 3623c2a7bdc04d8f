"""What hydra does with what past runs taught, and with its levels switched off."""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rankscope.models.schedulers.allocation import (
    allocate,
    bounds_of,
    costs_of,
    in_order,
    log_gains,
    uniform_ranks,
)
from rankscope.models.schedulers.contract import (
    Apply,
    Keep,
    KnockOut,
    KnockOutResult,
    Measure,
    MeasurementRequest,
    ModuleState,
    View,
)
from rankscope.models.schedulers.hydra import Hydra
from rankscope.models.schedulers.offline.model import OfflineModel, StaticRule
from rankscope.models.schedulers.static import Static
from tests.unit.models.schedulers.offline import planted
from tests.unit.models.schedulers.taught import teacher

Drive = Callable[..., list[Any]]

MODULES = in_order(
    [ModuleState(**m.model_dump(), rank=2, min_rank=0, max_rank=16) for m in planted.MODULES]
)
BUDGET = 2 * sum(m.cost for m in MODULES)
NUM_GROUPS = 2 + (5 + 3) + (4 + 2)
EAGER = {"caution_sds": 0.0, "min_gain_fraction": 0.0, "knock_out_log_sd": 0.1}


@cache
def learned(*, num_families: int = 3, is_shuffled: bool = False) -> OfflineModel:
    """Of runs whose ranks mattered, or are told wrongly."""
    runs = planted.past_runs(num_families=num_families, is_shuffled=is_shuffled)
    return planted.learned(runs).model


def start(offline: OfflineModel | None, planner: Hydra | None = None) -> Apply:
    view = View(step=0, num_steps=100, budget=BUDGET, seed=0, modules=MODULES, offline=offline)
    decision, memory = (planner or Hydra()).plan(view, {})
    assert isinstance(decision, Apply)
    assert memory == {}
    return decision


def turned(view: View, request: MeasurementRequest) -> KnockOutResult:
    """The earlier the layer the more it is worth: the contrary of what past runs taught."""
    assert isinstance(request, KnockOut)
    worth = {m.name: 0.3 ** (m.layer + 1) * np.log1p(m.rank) for m in view.modules}
    rise = {
        name: float(sum(worth[one] for one in members)) for name, members in request.groups.items()
    }
    return KnockOutResult(
        loss=2.0 - view.step / view.num_steps, rise=rise, rise_se=dict.fromkeys(rise, 1e-3)
    )


def moved(view: View, decision: Apply) -> float:
    """Parameters that came to another place."""
    rank = {m.name: (m.rank, m.cost) for m in view.modules}
    return sum(abs(new - rank[n][0]) * rank[n][1] for n, new in decision.ranks.items()) / 2


def test_what_past_runs_taught_gives_the_best_ranks_by_it_from_the_start() -> None:
    """Without pull of layers towards equal shares it is the exact optimum."""
    model = learned()
    assert model.is_useful
    low_M, high_M = bounds_of(MODULES)
    best_M = allocate(
        log_gains(np.exp(model.prior_over(MODULES).log_utilities), high_M),
        costs_of(MODULES),
        BUDGET,
        min_ranks_M=low_M,
        max_ranks_M=high_M,
    )
    decision = start(model, Hydra(layer_pull=0.0))
    assert [decision.ranks[m.name] for m in MODULES] == best_M.tolist()
    assert decision.ranks != uniform_ranks(MODULES, BUDGET)


def test_a_start_that_was_taught_names_its_teacher_and_how_good_it_is() -> None:
    model = learned()
    assert start(model).reason == (
        "best by planted, learned from 120 past runs (rank correlation "
        f"{model.usefulness:.2f} on families left out)"
    )


def test_a_damped_start_says_so() -> None:
    assert start(learned(), Hydra(early_lr_factor=0.3)).reason.endswith(
        "left out); early layers at 0.3 of the learning rate"
    )


@pytest.mark.parametrize("rule", ["uniform", "mlp", "attention", "late", "late_mlp"])
def test_a_useless_teacher_leaves_the_best_static_rule_and_says_why(rule: StaticRule) -> None:
    useless = learned(is_shuffled=True).model_copy(update={"fallback": rule})
    assert not useless.is_useful
    gain = useless.validation.gain
    assert gain is not None
    expected = uniform_ranks(MODULES, BUDGET)
    if rule != "uniform":
        view = View(step=0, num_steps=100, budget=BUDGET, seed=0, modules=MODULES)
        selected, _ = Static(where=rule).plan(view, {})
        assert isinstance(selected, Apply)
        expected = selected.ranks
    decision = start(useless)
    assert decision.ranks == expected
    assert decision.reason == (
        "planted is not useful, on families left out its rank correlation exceeds that of even "
        f"ranks by {gain.spearman:.2f} [{gain.low:.2f}, {gain.high:.2f}]: {rule} ranks instead"
    )


def test_a_rule_that_selects_nothing_here_leaves_uniform_ranks_and_says_so() -> None:
    modules = tuple(m for m in MODULES if m.type == "q_proj")
    useless = teacher(modules, is_useful=False, fallback="mlp")
    view = View(step=0, num_steps=100, budget=4096, seed=0, modules=modules, offline=useless)
    decision, _ = Hydra().plan(view, {})
    assert isinstance(decision, Apply)
    assert decision.ranks == uniform_ranks(modules, 4096)
    assert decision.reason.endswith(": uniform ranks instead")


def test_a_teacher_of_one_family_is_of_unknown_use() -> None:
    decision = start(learned(num_families=1))
    assert decision.ranks == uniform_ranks(MODULES, BUDGET)
    assert decision.reason == (
        "planted is of unknown use, learned from one family of tasks: uniform ranks instead"
    )


def test_without_past_runs_ranks_are_uniform() -> None:
    decision = start(None)
    assert decision.ranks == uniform_ranks(MODULES, BUDGET)
    assert decision.reason == "uniform until something is measured"


@pytest.mark.parametrize("refresh", [2, 4])
def test_who_was_taught_asks_few_groups_from_the_first_event_on(drive: Drive, refresh: int) -> None:
    decided = drive(Hydra(refresh_groups=refresh), MODULES, BUDGET, turned, offline=learned())
    asked = [len(one.view.measurements[0].rise) for one in decided[1:]]
    assert asked == [refresh] * 2


@given(seed=st.integers(0, 2**16), portion=st.floats(0.02, 0.5))
@settings(max_examples=8, deadline=None)
def test_who_was_taught_never_moves_more_than_allowed(
    drive: Drive, seed: int, portion: float
) -> None:
    planner = Hydra.model_validate(EAGER | {"max_move_fraction": portion})
    offline = teacher(MODULES, seed=seed)
    for view, _, decision in drive(planner, MODULES, BUDGET, turned, offline=offline)[1:]:
        if isinstance(decision, Apply):
            assert 0 < moved(view, decision) <= portion * BUDGET


def test_who_was_taught_wrongly_moves_when_the_run_shows_the_contrary(drive: Drive) -> None:
    decided = drive(Hydra.model_validate(EAGER), MODULES, BUDGET, turned, offline=learned())
    assert any(isinstance(one.decision, Apply) for one in decided[1:])


@pytest.mark.parametrize("offline", [None, learned(is_shuffled=True)], ids=["none", "useless"])
@pytest.mark.parametrize(("first", "expected"), [(12, 12), (99, NUM_GROUPS)])
def test_who_was_not_taught_measures_more_groups_first(
    drive: Drive, offline: OfflineModel | None, first: int, expected: int
) -> None:
    decided = drive(Hydra(first_groups=first), MODULES, BUDGET, turned, offline=offline)
    asked = [len(one.view.measurements[0].rise) for one in decided[1:]]
    assert asked == [expected, 4]


def test_taught_ranks_stay_for_ever_where_nothing_is_dynamic(drive: Drive) -> None:
    planner = Hydra.model_validate(EAGER | {"dynamic": False})
    first, *later = drive(planner, MODULES, BUDGET, turned, offline=learned())
    assert isinstance(first.decision, Apply)
    assert all(isinstance(one.decision, Keep) for one in later)
    assert not any(one.view.measurements for one in later)


def test_untaught_ranks_are_allocated_once_where_nothing_is_dynamic(drive: Drive) -> None:
    planner = Hydra.model_validate(EAGER | {"dynamic": False})
    _, *later = drive(planner, MODULES, BUDGET, turned)
    (event,) = later
    assert event.view.step == 20
    assert len(event.view.measurements[0].rise) == Hydra().first_groups
    assert isinstance(event.decision, Apply)


def test_without_coarse_every_layer_gets_its_equal_share() -> None:
    ranks = start(learned(), Hydra(coarse=False)).ranks
    params = {
        (m.part, m.layer): sum(
            n.cost * ranks[n.name] for n in MODULES if (n.part, n.layer) == (m.part, m.layer)
        )
        for m in MODULES
    }
    equal = {"language": 2 * 4 * 128, "vision": 2 * 2 * 128}
    assert params == {place: equal[place[0]] for place in params}
    assert ranks != uniform_ranks(MODULES, BUDGET)


def test_without_fine_modules_of_a_layer_are_alike_up_to_what_is_left_over() -> None:
    ranks = start(learned(), Hydra(fine=False)).ranks
    inside = {
        place: [ranks[m.name] for m in MODULES if (m.part, m.layer) == place]
        for place in {(m.part, m.layer) for m in MODULES}
    }
    assert all(max(some) - min(some) <= 1 for some in inside.values())
    assert len({max(some) for some in inside.values()}) > 1


@pytest.mark.parametrize("offline", [None, learned()], ids=["none", "useful"])
def test_with_every_level_off_ranks_are_uniform_for_ever(
    drive: Drive, offline: OfflineModel | None
) -> None:
    planner = Hydra.model_validate(EAGER | {"coarse": False, "fine": False})
    first, *later = drive(planner, MODULES, BUDGET, turned, offline=offline)
    assert first.decision.ranks == uniform_ranks(MODULES, BUDGET)
    assert all(isinstance(one.decision, Keep) for one in later)


def test_a_first_question_with_a_teacher_leaves_no_memory() -> None:
    view = View(step=20, num_steps=100, budget=BUDGET, seed=0, modules=MODULES, offline=learned())
    decision, memory = Hydra().plan(view, {})
    assert isinstance(decision, Measure)
    assert memory == {}
