import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rankscope.models.inventory import FloatArray, IntArray
from rankscope.models.schedulers.allocation import (
    allocate,
    concave,
    in_order,
    log_gains,
    uniform_ranks,
)
from rankscope.models.schedulers.contract import ModuleState


def module(name: str, cost: int, **fields: int | bool) -> ModuleState:
    known = {"rank": 0, "min_rank": 0, "max_rank": 9} | fields
    return ModuleState.model_validate(
        {"name": name, "part": "language", "layer": 0, "type": name, "d_in": 1, "d_out": cost - 1}
        | known
    )


def integers(values: list[int]) -> IntArray:
    return np.array(values, dtype=np.int64)


def value_of(gains_MR: FloatArray, low_M: IntArray, ranks_M: IntArray) -> float:
    return sum(
        float(row[low:rank].sum()) for row, low, rank in zip(gains_MR, low_M, ranks_M, strict=True)
    )


def by_brute_force(
    problem: tuple[FloatArray, IntArray, int, IntArray, IntArray, int],
) -> float:
    """The largest value over every allocation there is."""
    gains_MR, costs_M, budget, low_M, high_M, q = problem
    ranges = [range(low, high + 1, q) for low, high in zip(low_M, high_M, strict=True)]
    feasible = (r for r in itertools.product(*ranges) if costs_M @ np.array(r) <= budget)
    return max(value_of(gains_MR, low_M, integers(list(r))) for r in feasible)


@st.composite
def problems(draw: st.DrawFn) -> tuple[FloatArray, IntArray, int, IntArray, IntArray, int]:
    """Small problems of up to five cost classes, with ties, zeros and awkward common divisors."""
    num = draw(st.integers(1, 6))
    prices = draw(st.sampled_from([[4], [2, 3], [6, 10, 15], [256, 384], [5, 7, 8, 9, 11]]))
    costs = integers([draw(st.sampled_from(prices)) for _ in range(num)])
    low = integers([draw(st.sampled_from([0, 0, 1])) for _ in range(num)])
    high = low + integers([draw(st.integers(0, 3)) for _ in range(num)])
    gain = st.sampled_from([0.0, 0.5, 1.0, 1.0, 2.5]) | st.floats(0, 10)
    gains = np.array([sorted((draw(gain) for _ in range(4)), reverse=True) for _ in range(num)])
    least, most = int(costs @ low), int(costs @ high)
    return gains, costs, draw(st.integers(least, most + 3)), low, high, draw(st.integers(1, 2))


@given(problem=problems())
@settings(max_examples=120, deadline=None)
def test_the_solver_finds_what_brute_force_finds(
    problem: tuple[FloatArray, IntArray, int, IntArray, IntArray, int],
) -> None:
    gains, costs, budget, low, high, q = problem
    ranks = allocate(gains, costs, budget, min_ranks_M=low, max_ranks_M=high, multiple=q)
    assert costs @ ranks <= budget
    assert np.all((low <= ranks) & (ranks <= high) & ((ranks - low) % q == 0))
    best = by_brute_force(problem)
    assert value_of(gains, low, ranks) == pytest.approx(best, rel=1e-9, abs=1e-12)


@given(
    counts=st.lists(st.tuples(st.integers(1, 40), st.integers(1, 60)), min_size=2, max_size=4),
    fraction=st.floats(0, 1),
    seed=st.integers(0, 1000),
)
@settings(max_examples=60, deadline=None)
def test_the_solver_finds_what_dynamic_programming_finds(
    counts: list[tuple[int, int]], fraction: float, seed: int
) -> None:
    """Larger problems: best value by budget, one rank unit after another (0/1 knapsack)."""
    rng = np.random.default_rng(seed)
    costs = integers([cost for cost, _ in counts for _ in range(3)])
    utilities = np.repeat([u / 10 for _, u in counts], 3) * rng.uniform(0.5, 2, costs.size)
    low, high = np.zeros_like(costs), np.full_like(costs, 6)
    budget = int(fraction * (costs @ high))
    gains = log_gains(utilities, high)
    best_by_budget = np.zeros(budget + 1)
    for cost, gain in zip(np.repeat(costs, 6), gains.ravel(), strict=True):
        if cost <= budget:
            bought = best_by_budget[: budget + 1 - cost] + gain
            best_by_budget[cost:] = np.maximum(best_by_budget[cost:], bought)
    ranks = allocate(gains, costs, budget, min_ranks_M=low, max_ranks_M=high)
    assert costs @ ranks <= budget
    assert value_of(gains, low, ranks) == pytest.approx(best_by_budget[-1], rel=1e-9)


@given(problem=problems(), row=st.integers(0, 5), factor=st.floats(1, 5))
@settings(max_examples=80, deadline=None)
def test_raising_one_modules_utility_never_lowers_its_rank(
    problem: tuple[FloatArray, IntArray, int, IntArray, IntArray, int], row: int, factor: float
) -> None:
    _, costs, budget, low, high, q = problem
    row %= costs.size
    utilities = np.arange(1.0, costs.size + 1)
    raised = utilities.copy()
    raised[row] *= factor
    before, after = (
        allocate(log_gains(u, high), costs, budget, min_ranks_M=low, max_ranks_M=high, multiple=q)
        for u in (utilities, raised)
    )
    assert after[row] >= before[row]


@given(
    utilities=st.lists(st.floats(0, 100), min_size=2, max_size=8),
    prices=st.lists(st.sampled_from([2, 3, 7]), min_size=8, max_size=8),
    fraction=st.floats(0, 1),
    q=st.sampled_from([1, 2, 4]),
)
@settings(max_examples=80, deadline=None)
def test_within_a_cost_class_more_gain_never_gets_less_rank(
    utilities: list[float], prices: list[int], fraction: float, q: int
) -> None:
    costs = integers(prices[: len(utilities)])
    low, high = np.zeros_like(costs), np.full_like(costs, 8)
    gains = log_gains(np.array(utilities), high)
    budget = int(fraction * (costs @ high))
    ranks = allocate(gains, costs, budget, min_ranks_M=low, max_ranks_M=high, multiple=q)
    for one, other in itertools.permutations(range(costs.size), 2):
        if costs[one] == costs[other] and utilities[one] > utilities[other]:
            assert ranks[one] >= ranks[other]


def test_a_worked_example_is_solved_exactly() -> None:
    """Costs 2 and 3, budget 7, gains a 3 1, b 4 2.

    Best density first takes a (1.5), b (1.33), then b again (.67) does not fit and a (.5) does: 8.
    All other pairs: a+b+b = 9 costs 8, too dear. So ranks 2 and 1.
    """
    gains = np.array([[3.0, 1.0], [4.0, 2.0]])
    ranks = allocate(
        gains, integers([2, 3]), 7, min_ranks_M=integers([0, 0]), max_ranks_M=integers([2, 2])
    )
    assert ranks.tolist() == [2, 1]


def test_ties_go_to_the_earlier_row() -> None:
    gains = np.ones((3, 2))
    low, high = integers([0, 0, 0]), integers([2, 2, 2])
    ranks = allocate(gains, integers([1, 1, 1]), 3, min_ranks_M=low, max_ranks_M=high)
    assert ranks.tolist() == [2, 1, 0]


def test_equal_concave_utilities_give_equal_ranks() -> None:
    costs, high = np.tile(integers([256, 384]), 21), np.full(42, 16)
    gains = log_gains(costs.astype(np.float64), high)
    budget = 3 * int(costs.sum())
    ranks = allocate(gains, costs, budget, min_ranks_M=np.zeros(42, np.int64), max_ranks_M=high)
    assert set(ranks.tolist()) == {3}


@given(gains=st.lists(st.floats(0, 100), min_size=1, max_size=12))
def test_the_concave_majorant_is_above_concave_and_ends_equal(gains: list[float]) -> None:
    given_R = np.array(gains)
    pooled_R = concave(given_R)
    assert np.all(np.diff(pooled_R) <= 1e-9)
    assert np.all(np.cumsum(pooled_R) >= np.cumsum(given_R) - 1e-9)
    assert pooled_R.sum() == pytest.approx(given_R.sum())


def test_minimum_ranks_above_the_budget_are_refused_with_the_remedy() -> None:
    gains, costs, twos = np.ones((2, 2)), integers([3, 4]), integers([2, 2])
    with pytest.raises(ValueError, match=r"budget of 13 parameters, they need 14; raise the budg"):
        allocate(gains, costs, 13, min_ranks_M=twos, max_ranks_M=twos)
    with pytest.raises(ValueError, match=r"budget of 13 parameters, they need 14"):
        uniform_ranks([module("a", 3, min_rank=2), module("b", 4, min_rank=2)], 13)


def test_crossed_bounds_and_negative_or_short_gains_are_refused() -> None:
    costs, ones, twos = integers([3, 4]), integers([1, 1]), integers([2, 2])
    with pytest.raises(ValueError, match=r"minimum rank must not exceed its maximum of 1, got 2"):
        allocate(np.ones((2, 2)), costs, 99, min_ranks_M=twos, max_ranks_M=ones)
    with pytest.raises(ValueError, match=r"gains must be finite and at least 0"):
        allocate(-np.ones((2, 2)), costs, 99, min_ranks_M=ones, max_ranks_M=twos)
    with pytest.raises(ValueError, match=r"gains must cover the largest rank of 2, got 1 columns"):
        allocate(np.ones((2, 1)), costs, 99, min_ranks_M=ones, max_ranks_M=twos)


def test_a_whole_equivalent_rank_gives_exactly_that_rank_everywhere(
    embedded: tuple[ModuleState, ...],
) -> None:
    budget = 2 * sum(m.cost for m in embedded)
    assert set(uniform_ranks(embedded, budget).values()) == {2}


def test_leftover_ranks_are_spread_over_the_depth_of_the_model(
    embedded: tuple[ModuleState, ...],
) -> None:
    """At 1.5 equivalent ranks each of the 6 equal layers gets half of its seven extra ranks."""
    budget = int(1.5 * sum(m.cost for m in embedded))
    ranks = uniform_ranks(embedded, budget)
    per_layer = [sum(ranks[m.name] - 1 for m in embedded if m.layer == i) for i in range(6)]
    assert set(ranks.values()) == {1, 2}
    assert max(per_layer) - min(per_layer) <= 1
    assert budget - sum(m.cost * ranks[m.name] for m in embedded) < 256


@given(
    costs=st.lists(st.integers(2, 9), min_size=1, max_size=8),
    pinned=st.integers(0, 7),
    fraction=st.floats(0, 1.2),
    q=st.sampled_from([1, 1, 3]),
)
def test_uniform_ranks_keep_budget_pins_and_multiples_and_leave_less_than_one_step(
    costs: list[int], pinned: int, fraction: float, q: int
) -> None:
    modules = [module(f"m{i}", c, multiple=q) for i, c in enumerate(costs)]
    at = pinned % len(modules)
    modules[at] = modules[at].model_copy(
        update={"rank": 6, "min_rank": 6, "max_rank": 6, "pinned": True}
    )
    budget = 6 * costs[at] + int(fraction * 9 * sum(costs))
    ranks = uniform_ranks(modules, budget)
    left = budget - sum(m.cost * ranks[m.name] for m in modules)
    free = [m for m in modules if not m.pinned]
    assert ranks[modules[at].name] == 6
    assert left >= 0
    assert all(rank % q == 0 for rank in ranks.values())
    assert (
        max((ranks[m.name] for m in free), default=0)
        - min((ranks[m.name] for m in free), default=0)
        <= q
    )
    assert all(
        q * m.cost > left for m in free if ranks[m.name] == min(ranks[f.name] for f in free) < 9
    )


def test_order_is_part_then_layer_then_type_then_name() -> None:
    first = module("b", 3)
    later = first.model_copy(update={"layer": 1, "type": "a"})
    vision = later.model_copy(update={"part": "vision"})
    assert in_order([later, vision, first]) == (vision, first, later)
