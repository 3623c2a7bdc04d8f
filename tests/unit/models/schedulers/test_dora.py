"""DoRA's ranks: the budget pays for A, B and a magnitude per output."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from rankscope.models.schedulers import AnyScheduler
from rankscope.models.schedulers.contract import ModuleState
from rankscope.models.schedulers.dora import Dora

SIDES = st.integers(1, 40)


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
            max_rank=min(16, d_in, d_out),
            pinned=False,
        )
        for i, (d_in, d_out) in enumerate(shapes)
    ]


@given(
    shapes=st.lists(st.tuples(SIDES, SIDES), min_size=1, max_size=12),
    budget=st.integers(1, 5000),
)
def test_a_b_and_magnitudes_never_exceed_the_budget(
    shapes: list[tuple[int, int]], budget: int
) -> None:
    states = states_of(shapes)
    cheapest = min(state.cost + state.d_out for state in states)
    if budget < cheapest:
        with pytest.raises(ValueError, match="cheapest module"):
            Dora().ranks(states, budget)
        return
    ranks = Dora().ranks(states, budget)
    assert list(ranks) == [state.name for state in states]
    assert Dora().params(states, ranks) <= budget
    assert all(0 <= ranks[state.name] <= state.max_rank for state in states)
    everywhere = sum(state.cost + state.d_out for state in states)
    assert (min(ranks.values()) > 0) == (budget >= everywhere)


def test_what_the_magnitudes_leave_is_given_out_as_uniform_does() -> None:
    """Three of 8 x 8: 16 per rank and 8 of m. 100 less 24 leaves 76: rank 1 on all and 28 over.

    Error diffusion: shares of the 28 are 9, 18, 28; 16 fit the second. 12 are left, too few.
    """
    states = states_of([(8, 8)] * 3)
    ranks = Dora().ranks(states, 100)
    assert list(ranks.values()) == [1, 2, 1]
    assert Dora().params(states, ranks) == 4 * 16 + 3 * 8


def test_a_least_rank_that_magnitudes_do_not_leave_room_for_is_refused() -> None:
    with pytest.raises(ValueError, match=r"lora\.min_rank must be 0 .* \(they need 48\), got 1"):
        Dora().ranks(states_of([(8, 8)] * 2, min_rank=1), 47)


def test_it_is_found_by_kind() -> None:
    adapter: TypeAdapter[Any] = TypeAdapter(AnyScheduler)
    assert adapter.validate_python({"kind": "dora"}) == Dora()
