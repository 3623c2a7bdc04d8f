"""Which modules stay without an adapter where the budget does not pay for all."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rankscope.models.schedulers.leaving_out import kept_modules, told

PRICES = st.lists(st.sampled_from([2, 3, 5, 8, 13]), min_size=1, max_size=8)


@given(prices=PRICES, spare=st.integers(0, 60))
def test_what_is_kept_fits_and_no_choice_leaves_out_fewer(prices: list[int], spare: int) -> None:
    """Against all subsets."""
    budget = min(prices) + spare
    kept_M = kept_modules(np.array(prices), budget)
    assert int(np.array(prices) @ kept_M) <= budget
    most = max(
        size
        for size in range(len(prices) + 1)
        for subset in itertools.combinations(prices, size)
        if sum(subset) <= budget
    )
    assert int(kept_M.sum()) == most


def test_the_module_left_out_is_the_cheapest_that_suffices() -> None:
    """Two too many: 1 does not save them, 3 does; the 9s stay."""
    assert kept_modules(np.array([9, 1, 3, 9, 3]), 23).tolist() == [True, True, True, True, False]


def test_those_left_out_of_one_price_are_evenly_spaced() -> None:
    """Three of nine: places (2 i + 1) * 9 // 6 = 1, 4, 7."""
    kept_M = kept_modules(np.full(9, 4), 24)
    assert np.flatnonzero(~kept_M).tolist() == [1, 4, 7]


def test_a_budget_below_every_module_is_refused() -> None:
    with pytest.raises(ValueError, match=r"cheapest module \(3 parameters\), got 2; raise it"):
        kept_modules(np.array([5, 3]), 2)


def test_many_names_are_told_shortened() -> None:
    assert told(["a", "b"]) == "a, b"
    assert told([*"abcdefgh"]) == "a, b, c, d, e, f and 2 more"
