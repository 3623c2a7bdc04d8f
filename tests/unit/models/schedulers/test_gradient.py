import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rankscope.models.schedulers.contract import (
    Apply,
    Decision,
    GradientEnergy,
    GradientEnergyResult,
    Keep,
    Measure,
    ModuleState,
    View,
)
from rankscope.models.schedulers.gradient import Gradient


def decide(
    modules: tuple[ModuleState, ...], energy: dict[str, float] | None, budget: int = 13056
) -> Decision:
    results = () if energy is None else (GradientEnergyResult(energy=energy),)
    view = View(step=0, num_steps=100, budget=budget, seed=0, modules=modules, measurements=results)
    return Gradient().plan(view, {})[0]


def test_the_first_call_asks_for_the_energy_of_96_items(embedded: tuple[ModuleState, ...]) -> None:
    decision = decide(embedded, None)
    assert decision == Measure(requests=(GradientEnergy(num_items=96),))


def test_rank_goes_where_energy_per_parameter_is(embedded: tuple[ModuleState, ...]) -> None:
    """Energy equal to the cost is worth the same everywhere: uniform. All in one layer: only it."""
    flat = decide(embedded, {m.name: float(m.cost) for m in embedded})
    assert isinstance(flat, Apply)
    assert set(flat.ranks.values()) == {1}
    steep = decide(embedded, {m.name: float(m.layer == 5) for m in embedded}, budget=2176)
    assert isinstance(steep, Apply)
    assert {m.layer for m in embedded if steep.ranks[m.name]} == {5}


@given(
    energies=st.lists(st.floats(0.01, 100), min_size=42, max_size=42),
    at=st.integers(0, 41),
    factor=st.floats(1, 50),
    budget=st.integers(0, 60_000),
)
@settings(max_examples=50, deadline=None)
def test_raising_one_modules_energy_never_lowers_its_rank(
    embedded: tuple[ModuleState, ...], energies: list[float], at: int, factor: float, budget: int
) -> None:
    name = embedded[at].name
    energy = {m.name: e for m, e in zip(embedded, energies, strict=True)}
    before = decide(embedded, energy, budget)
    after = decide(embedded, energy | {name: factor * energy[name]}, budget)
    assert isinstance(before, Apply)
    assert isinstance(after, Apply)
    assert after.ranks[name] >= before.ranks[name]


@pytest.mark.parametrize("broken", [float("nan"), float("inf"), -1.0])
def test_unusable_energy_keeps_the_ranks_and_names_the_module(
    embedded: tuple[ModuleState, ...], broken: float
) -> None:
    energy = dict.fromkeys((m.name for m in embedded), 1.0) | {embedded[3].name: broken}
    decision = decide(embedded, energy)
    assert isinstance(decision, Keep)
    assert embedded[3].name in decision.reason


def test_no_energy_at_all_keeps_the_ranks(embedded: tuple[ModuleState, ...]) -> None:
    assert isinstance(decide(embedded, dict.fromkeys((m.name for m in embedded), 0.0)), Keep)
    assert isinstance(decide(embedded, {}), Keep)
