import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rankscope.models.schedulers.contract import (
    Apply,
    Decision,
    Keep,
    Measure,
    ModuleState,
    View,
    WeightSensitivity,
    WeightSensitivityResult,
)
from rankscope.models.schedulers.gora import Gora

RANK_8 = 8 * 13_056
"""Rank 8 on every module of the embedded model."""


def decide(
    modules: tuple[ModuleState, ...],
    sensitivity: dict[str, float] | None,
    budget: int = RANK_8,
    planner: Gora | None = None,
) -> Decision:
    results = () if sensitivity is None else (WeightSensitivityResult(sensitivity=sensitivity),)
    view = View(step=0, num_steps=100, budget=budget, seed=0, modules=modules, measurements=results)
    return (planner or Gora()).plan(view, {})[0]


def roomy(modules: tuple[ModuleState, ...]) -> tuple[ModuleState, ...]:
    return tuple(m.model_copy(update={"max_rank": 64}) for m in modules)


def test_the_first_call_asks_for_the_sensitivity_of_96_items(
    embedded: tuple[ModuleState, ...],
) -> None:
    assert decide(embedded, None) == Measure(requests=(WeightSensitivity(num_items=96),))


def test_equal_shares_per_root_of_the_cost_give_equal_ranks(
    embedded: tuple[ModuleState, ...],
) -> None:
    """The rule r = S share // sqrt(c) with share ~ sqrt(c) is r_eq everywhere."""
    decision = decide(embedded, {m.name: math.sqrt(m.cost) for m in embedded})
    assert isinstance(decision, Apply)
    assert set(decision.ranks.values()) == {8}


def test_ranks_keep_to_half_and_four_times_the_equal_rank(
    embedded: tuple[ModuleState, ...],
) -> None:
    """One module has nearly all: 32 for it; what it leaves goes to the others, none below 4."""
    first = embedded[0].name
    steep = {m.name: 1e6 if m.name == first else 1.0 for m in embedded}
    decision = decide(roomy(embedded), steep)
    assert isinstance(decision, Apply)
    assert decision.ranks[first] == 32
    assert min(decision.ranks.values()) >= 4
    wide = decide(roomy(embedded), steep, planner=Gora(lowest_factor=0.0, highest_factor=8.0))
    assert isinstance(wide, Apply)
    assert wide.ranks[first] == 64


def test_the_rule_worked_by_hand() -> None:
    """Two modules of cost 16 (root 4), r_eq 3: S = 3 * 8 = 24, shares 0.7 and 0.3.

    round(16.8) // 4 = 4 and round(7.2) // 4 = 1; least rank 1, most 12. That is 5 of 6 ranks. A
    larger S gives 17.5 // 4 = 4 and 7.5 // 4 = 2 at S = 25: exactly the budget.
    """
    one = ModuleState(
        name="a",
        part="language",
        layer=0,
        type="q",
        d_in=8,
        d_out=8,
        rank=3,
        min_rank=0,
        max_rank=8,
    )
    other = one.model_copy(update={"name": "b", "layer": 1})
    decision = decide((one, other), {"a": 0.7, "b": 0.3}, budget=96)
    assert isinstance(decision, Apply)
    assert decision.ranks == {"a": 4, "b": 2}
    assert "would spend 80 parameters of 96" in decision.reason


@given(
    sensitivities=st.lists(st.floats(1e-9, 1e9), min_size=42, max_size=42),
    budget=st.integers(0, 60_000),
    multiple=st.sampled_from([1, 2, 4]),
)
@settings(max_examples=50, deadline=None)
def test_the_budget_is_kept_and_no_further_step_would_fit(
    embedded: tuple[ModuleState, ...], sensitivities: list[float], budget: int, multiple: int
) -> None:
    modules = tuple(m.model_copy(update={"multiple": multiple}) for m in embedded)
    named = {m.name: s for m, s in zip(modules, sensitivities, strict=True)}
    # Bounds of its own would leave budget over by design.
    free = Gora(lowest_factor=0.0, highest_factor=64.0)
    decision = decide(modules, named, budget, free)
    assert isinstance(decision, Apply)
    left = budget - sum(m.cost * decision.ranks[m.name] for m in modules)
    open_costs = [
        m.cost * multiple for m in modules if decision.ranks[m.name] + multiple <= m.max_rank
    ]
    assert left >= 0
    assert all(rank % multiple == 0 for rank in decision.ranks.values())
    if budget > 64 * multiple * 256:  # below, 64 times the equal rank is no rank at all
        assert not open_costs or left < min(open_costs)


@pytest.mark.parametrize("broken", [float("nan"), float("inf"), -1.0])
def test_unusable_sensitivity_keeps_the_ranks_and_names_the_module(
    embedded: tuple[ModuleState, ...], broken: float
) -> None:
    named = dict.fromkeys((m.name for m in embedded), 1.0) | {embedded[3].name: broken}
    decision = decide(embedded, named)
    assert isinstance(decision, Keep)
    assert embedded[3].name in decision.reason
    assert isinstance(decide(embedded, dict.fromkeys(named, 0.0)), Keep)
