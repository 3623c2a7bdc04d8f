"""Ranks given module by module; what is refused of them stands in the tests of plans."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rankscope.models.schedulers.checked import checked
from rankscope.models.schedulers.contract import Apply, ModuleState, View
from rankscope.models.schedulers.fixed import Fixed
from rankscope.models.schedulers.random_ranks import RandomRanks


def view_of(modules: tuple[ModuleState, ...], budget: int, seed: int = 0) -> View:
    return View(step=0, num_steps=10, budget=budget, seed=seed, modules=modules)


def ranks_of(view: View, planner: Fixed | RandomRanks) -> dict[str, int]:
    decision, memory = checked(planner, view, planner.plan(view, {}))
    assert isinstance(decision, Apply)
    assert memory == {}
    return decision.ranks


@given(
    seed=st.integers(0, 1000),
    fraction=st.floats(0.1, 1),
    left_out=st.sets(st.integers(0, 41), max_size=5),
    q=st.sampled_from([1, 4]),
)
@settings(max_examples=40, deadline=None)
def test_any_ranks_that_fit_are_applied_exactly(
    embedded: tuple[ModuleState, ...], seed: int, fraction: float, left_out: set[int], q: int
) -> None:
    """Ranks as drawn at random, one module pinned; those left out get the minimum."""
    modules = tuple(
        m.model_copy(update={"rank": q, "min_rank": q * (i % 2), "max_rank": 16, "multiple": q})
        for i, m in enumerate(embedded)
    )
    pinned = {"rank": 2 * q, "min_rank": 2 * q, "max_rank": 2 * q, "pinned": True}
    modules = (modules[0].model_copy(update=pinned), *modules[1:])
    least = sum(m.cost * m.min_rank for m in modules)
    budget = least + 256 * q + int(fraction * 200_000)
    view = view_of(modules, budget, seed)
    drawn = ranks_of(view, RandomRanks())
    names = [m.name for m in modules]
    given_ = {name: drawn[name] for i, name in enumerate(names) if i not in left_out}
    planner = Fixed(ranks=given_)
    if any(drawn.values()):
        planner.check(view)
    expected = {m.name: given_.get(m.name, m.min_rank) for m in modules}
    assert ranks_of(view, planner) == expected


def test_learning_rate_factors_are_set_with_the_ranks(embedded: tuple[ModuleState, ...]) -> None:
    name = embedded[0].name
    decision, _ = Fixed(ranks={name: 1}, lr_factors={name: 0.25}).plan(view_of(embedded, 300), {})
    assert isinstance(decision, Apply)
    assert decision.lr_factors == {name: 0.25}
    assert decision.reasons[name].text == "given"
    assert decision.reason == "ranks given for 1 of 42 modules"


@pytest.mark.parametrize("factor", [-0.1, np.inf, np.nan])
def test_a_factor_that_is_no_factor_is_refused(factor: float) -> None:
    with pytest.raises(ValueError, match=r"lr_factors\.a"):
        Fixed(lr_factors={"a": factor})
