from hypothesis import given, settings
from hypothesis import strategies as st

from rankscope.models.schedulers.contract import Apply, ModuleState, View
from rankscope.models.schedulers.random_ranks import RandomRanks


def ranks_of(
    modules: tuple[ModuleState, ...], budget: int, *, draw: int = 0, seed: int = 0
) -> dict[str, int]:
    view = View(step=0, num_steps=100, budget=budget, seed=seed, modules=modules)
    decision, _ = RandomRanks(draw=draw).plan(view, {})
    assert isinstance(decision, Apply)
    return decision.ranks


@given(budget=st.integers(0, 300_000), draw=st.integers(0, 1000))
@settings(max_examples=40, deadline=None)
def test_the_budget_is_used_up_as_far_as_whole_ranks_fit(
    embedded: tuple[ModuleState, ...], budget: int, draw: int
) -> None:
    ranks = ranks_of(embedded, budget, draw=draw)
    left = budget - sum(m.cost * ranks[m.name] for m in embedded)
    assert left >= 0
    assert all(m.cost > left for m in embedded if ranks[m.name] < m.max_rank)


def test_draws_and_seeds_give_other_ranks_and_repeat(embedded: tuple[ModuleState, ...]) -> None:
    first = ranks_of(embedded, 13056)
    assert first == ranks_of(embedded, 13056)
    assert first != ranks_of(embedded, 13056, draw=1)
    assert first != ranks_of(embedded, 13056, seed=1)
