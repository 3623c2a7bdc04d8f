"""How EVA shares a budget of parameters out by explained variance."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from rankscope.models.schedulers import AnyScheduler
from rankscope.models.schedulers.contract import ModuleState
from rankscope.models.schedulers.eva import Eva

SIDES = st.integers(2, 30)


def states_of(shapes: list[tuple[int, int]], *, min_rank: int = 0) -> list[ModuleState]:
    return [
        ModuleState(
            name=f"layers.{i}.up",
            part="language",
            layer=i,
            type="up",
            d_in=d_in,
            d_out=d_out,
            rank=0,
            min_rank=min_rank,
            max_rank=min(8, d_in, d_out),
            pinned=False,
        )
        for i, (d_in, d_out) in enumerate(shapes)
    ]


@given(data=st.data(), budget=st.integers(1, 2000), rho=st.floats(1, 4))
def test_ranks_never_exceed_the_budget_their_bounds_or_the_directions_found(
    data: st.DataObject, budget: int, rho: float
) -> None:
    states = states_of(data.draw(st.lists(st.tuples(SIDES, SIDES), min_size=1, max_size=8)))
    eva = Eva(rho=rho)
    most = eva.most_components(states, budget)
    shares = st.lists(st.floats(0, 1), min_size=1, max_size=8)
    explained = {
        name: sorted(data.draw(shares), reverse=True)[:number] for name, number in most.items()
    }
    ranks = eva.ranks(states, explained, budget)
    assert list(ranks) == [state.name for state in states]
    assert sum(state.cost * ranks[state.name] for state in states) <= budget
    assert all(0 <= ranks[name] <= len(explained[name]) for name in ranks)
    equal_rank = budget / sum(state.cost for state in states)
    assert all(0 < number <= max(1, rho * equal_rank + 0.5) for number in most.values())


def test_components_are_taken_by_what_they_explain_while_they_fit() -> None:
    """Costs 8, 16, 16 of 40 parameters. Shares .6 and .5 take 8 + 16, then .4 takes 8 more: 32.

    The next share of .3 costs 16 and is passed over, and with it all of its module; .2 costs 8.
    """
    states = states_of([(4, 4), (8, 8), (8, 8)])
    explained = {
        "layers.0.up": [0.6, 0.4, 0.2],
        "layers.1.up": [0.5, 0.1],
        "layers.2.up": [0.3, 0.3],
    }
    ranks = Eva().ranks(states, explained, 40)
    assert list(ranks.values()) == [3, 1, 0]


def test_equal_shares_go_to_the_earlier_module_and_least_ranks_come_first() -> None:
    states = states_of([(4, 4), (4, 4), (4, 4)])
    explained = {state.name: [0.5, 0.5] for state in states}
    assert list(Eva().ranks(states, explained, 16).values()) == [2, 0, 0]
    states = states_of([(4, 4), (4, 4), (4, 4)], min_rank=1)
    assert list(Eva().ranks(states, explained, 32).values()) == [2, 1, 1]


@pytest.mark.parametrize(("rho", "most"), [(1, 2), (2, 4), (4, 5)])
def test_a_module_gets_at_most_rho_times_the_equal_rank(rho: float, most: int) -> None:
    """Two ranks of 20; half of 10 inputs is 5, of what peft's decomposition can find."""
    assert Eva(rho=rho).most_components(states_of([(10, 10)]), 40) == {"layers.0.up": most}


def test_it_is_found_by_kind() -> None:
    adapter: TypeAdapter[Any] = TypeAdapter(AnyScheduler)
    assert adapter.validate_python({"kind": "eva"}) == Eva()
