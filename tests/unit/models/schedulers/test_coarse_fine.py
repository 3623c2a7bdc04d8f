from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rankscope.models.inventory import FloatArray, IntArray, Part
from rankscope.models.schedulers.allocation import allocate, costs_of, log_gains
from rankscope.models.schedulers.coarse_fine import (
    coarse_fine,
    levelled,
    moved_params,
    step_towards,
)
from rankscope.models.schedulers.contract import ModuleState

Modules = tuple[ModuleState, ...]
NO_BOUNDS = (0.0, 100.0)


def unsure(share: float) -> dict[tuple[Part, int], float]:
    return {("language", layer): share for layer in range(6)}


def spending(modules: Modules, ranks_M: IntArray) -> list[int]:
    """Parameters per layer."""
    return [
        sum(m.cost * int(r) for m, r in zip(modules, ranks_M, strict=True) if m.layer == layer)
        for layer in range(6)
    ]


@given(
    utilities=st.lists(st.floats(1e-3, 100), min_size=42, max_size=42),
    budget=st.integers(0, 60_000),
)
@settings(max_examples=40, deadline=None)
def test_sure_and_unbounded_it_is_the_exact_flat_optimum(
    embedded: Modules, utilities: list[float], budget: int
) -> None:
    costs_M, high_M = costs_of(embedded), np.full(42, 16)
    gains_MR = log_gains(np.array(utilities), high_M)
    flat_M = allocate(
        gains_MR, costs_M, budget, min_ranks_M=np.zeros(42, np.int64), max_ranks_M=high_M
    )
    ranks_M = coarse_fine(embedded, np.array(utilities), budget, unsure(0.0), NO_BOUNDS)
    assert ranks_M.tolist() == flat_M.tolist()


def test_fully_unsure_every_layer_gets_its_equal_share(embedded: Modules) -> None:
    utilities = np.array([10.0 ** (m.layer - 3) for m in embedded])
    ranks_M = coarse_fine(embedded, utilities, 4 * 13056, unsure(1.0), NO_BOUNDS)
    assert spending(embedded, ranks_M) == [4 * 2176] * 6


def test_layer_budgets_keep_their_floor_and_cap_up_to_the_leftover(embedded: Modules) -> None:
    """Of 8 equal shares of 8,704, capped at 2 and floored at a half; a leftover is below one rank
    per layer, 6 * 384."""
    budget = 4 * 13056
    utilities = np.array([100.0 ** (m.layer - 3) for m in embedded])
    spent = spending(embedded, coarse_fine(embedded, utilities, budget, unsure(0.0), (0.5, 2.0)))
    assert spent[5] <= 2 * 8704 + 6 * 384
    assert min(spent) >= 0.5 * 8704 * 0.9
    assert budget - sum(spent) < 256


@given(
    utilities=st.lists(st.floats(1e-3, 100), min_size=42, max_size=42),
    budget=st.integers(1024 + 384, 60_000),
    share=st.floats(0, 1),
    bounds=st.tuples(st.floats(0, 1), st.floats(1, 4)),
    q=st.sampled_from([1, 1, 2, 4]),
)
@settings(max_examples=40, deadline=None)
def test_budget_bounds_and_minima_are_kept_and_no_further_rank_fits(
    embedded: Modules,
    utilities: list[float],
    budget: int,
    share: float,
    bounds: tuple[float, float],
    q: int,
) -> None:
    highest = {1: 5, 2: 6, 4: 8}[q]
    uneven = tuple(
        m.model_copy(
            update={"min_rank": 4 if m == embedded[0] else 0, "max_rank": highest, "multiple": q}
        )
        for m in embedded
    )
    ranks_M = coarse_fine(uneven, np.array(utilities), budget, unsure(share), bounds)
    left = budget - int(costs_of(uneven) @ ranks_M)
    assert left >= 0
    assert ranks_M[0] >= 4
    assert not np.any(ranks_M % q)
    assert all(q * m.cost > left for m, r in zip(uneven, ranks_M, strict=True) if r < highest)


UTILITIES = st.lists(st.floats(1e-3, 100), min_size=42, max_size=42).map(np.array)


@given(utilities_M=UTILITIES, rank=st.integers(0, 16))
@settings(max_examples=30, deadline=None)
def test_with_both_levels_off_the_best_ranks_are_uniform(
    embedded: Modules, utilities_M: FloatArray, rank: int
) -> None:
    flat_M = levelled(embedded, utilities_M, coarse=False, fine=False)
    costs_M = costs_of(embedded)
    assert flat_M / flat_M[0] == pytest.approx(costs_M / costs_M[0])
    ranks_M = coarse_fine(embedded, flat_M, rank * 13056, unsure(0.0), NO_BOUNDS)
    assert ranks_M.tolist() == [rank] * 42


@given(utilities_M=UTILITIES, rank=st.integers(1, 8))
@settings(max_examples=30, deadline=None)
def test_with_coarse_off_layers_get_equal_budgets_and_share_them_as_before(
    embedded: Modules, utilities_M: FloatArray, rank: int
) -> None:
    """Up to the leftover, which single ranks of 256 or 384 parameters use up."""
    inside_M = levelled(embedded, utilities_M, coarse=False, fine=True)
    ranks_M = coarse_fine(embedded, inside_M, rank * 13056, unsure(1.0), NO_BOUNDS)
    assert spending(embedded, ranks_M) == pytest.approx([rank * 2176] * 6, abs=6 * 384)
    ratio_M = inside_M / utilities_M
    for layer in range(6):
        rows = slice(7 * layer, 7 * layer + 7)
        assert ratio_M[rows] == pytest.approx(np.full(7, ratio_M[7 * layer]))
        assert inside_M[rows].sum() == pytest.approx(2176)


@given(utilities_M=UTILITIES, budget=st.integers(0, 100_000), share=st.floats(0, 1))
@settings(max_examples=30, deadline=None)
def test_with_fine_off_ranks_within_a_layer_are_equal_up_to_the_leftover(
    embedded: Modules, utilities_M: FloatArray, budget: int, share: float
) -> None:
    """Ranks of 256 and 384 parameters fill a budget best when some are one higher or lower."""
    alike_M = levelled(embedded, utilities_M, coarse=True, fine=False)
    ranks_M = coarse_fine(embedded, alike_M, budget, unsure(share), NO_BOUNDS)
    for layer in range(6):
        rows = slice(7 * layer, 7 * layer + 7)
        assert alike_M[rows].sum() == pytest.approx(utilities_M[rows].sum())
        assert np.ptp(ranks_M[rows]) <= 2


def test_with_both_levels_on_utilities_are_what_they_were(embedded: Modules) -> None:
    utilities_M = np.arange(1.0, 43)
    assert levelled(embedded, utilities_M, coarse=True, fine=True).tolist() == utilities_M.tolist()


@given(
    ends=st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=42, max_size=42),
    limits=st.lists(st.floats(0, 30_000), min_size=2, max_size=2),
    q=st.sampled_from([1, 1, 3]),
)
@settings(max_examples=60, deadline=None)
def test_steps_stay_within_budget_limit_and_both_ends(
    embedded: Modules, ends: list[tuple[int, int]], limits: list[float], q: int
) -> None:
    costs_M = costs_of(embedded)
    start_M, target_M = (q * np.array(end) for end in zip(*ends, strict=True))
    budget = max(int(costs_M @ start_M), int(costs_M @ target_M))
    utilities = np.arange(1.0, 43)
    steps = [
        step_towards(
            start_M,
            target_M,
            utilities_M=utilities,
            costs_M=costs_M,
            budget=budget,
            limit_params=limit,
            multiple=q,
        )
        for limit in sorted(limits)
    ]
    for limit, step_M in zip(sorted(limits), steps, strict=True):
        assert costs_M @ step_M <= budget
        assert not np.any(step_M % q)
        assert moved_params(costs_M, start_M, step_M) <= limit
        assert np.all((step_M - start_M) * np.sign(target_M - start_M) >= 0)
        assert np.all(np.abs(step_M - start_M) <= np.abs(target_M - start_M))
    for shorter_M, longer_M in pairwise(steps):
        assert moved_params(costs_M, start_M, shorter_M) <= moved_params(costs_M, start_M, longer_M)


def test_a_step_trades_the_best_rise_for_the_cheapest_cut() -> None:
    """At equal cost, rises worth 1 and 9, cuts worth 5 and 2: the first trade is 9 for 2."""
    step_M = step_towards(
        np.array([0, 0, 1, 1]),
        np.array([1, 1, 0, 0]),
        utilities_M=np.array([1.0, 9, 5, 2]),
        costs_M=np.array([2, 2, 2, 2]),
        budget=4,
        limit_params=2,
    )
    assert step_M.tolist() == [0, 1, 1, 0]
    assert moved_params(np.array([2, 2, 2, 2]), np.array([0, 0, 1, 1]), step_M) == pytest.approx(2)
