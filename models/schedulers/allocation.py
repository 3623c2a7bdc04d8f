"""The exact budget solver, and the uniform ranks that every run starts from.

Shape letters: M modules, R successive ranks of a module, Q successive blocks of ``multiple`` ranks,
N items (a module's next block) of one cost class.
"""

from collections.abc import Sequence

import numpy as np

from rankscope.models.inventory import PARTS, FloatArray, IntArray
from rankscope.models.schedulers.contract import ModuleState
from rankscope.models.schedulers.cost_classes import CostClass, best_counts


def in_order(modules: Sequence[ModuleState]) -> tuple[ModuleState, ...]:
    """Modules by part, layer, type and name, which settles ties however a view lists them."""
    return tuple(sorted(modules, key=lambda m: (PARTS.index(m.part), m.layer, m.type, m.name)))


def costs_of(modules: Sequence[ModuleState]) -> IntArray:
    """costs_M: parameters of one unit of rank."""
    return np.array([m.cost for m in modules], dtype=np.int64)


def ranks_of(modules: Sequence[ModuleState]) -> IntArray:
    """ranks_M: the present ranks."""
    return np.array([m.rank for m in modules], dtype=np.int64)


def is_feasible(modules: Sequence[ModuleState], budget: int) -> bool:
    """Whether the present ranks keep budget and bounds; a person may have changed them since."""
    ranks_M = ranks_of(modules)
    low_M, high_M = bounds_of(modules)
    inside = np.all((low_M <= ranks_M) & (ranks_M <= high_M))
    return bool(inside and costs_of(modules) @ ranks_M <= budget)


def bounds_of(modules: Sequence[ModuleState]) -> tuple[IntArray, IntArray]:
    """min_ranks_M and max_ranks_M; both are the present rank where a module is pinned."""
    low_M = [m.rank if m.pinned else m.min_rank for m in modules]
    high_M = [m.rank if m.pinned else m.max_rank for m in modules]
    return np.array(low_M, dtype=np.int64), np.array(high_M, dtype=np.int64)


def multiple_of(modules: Sequence[ModuleState]) -> int:
    """What every rank is a multiple of; the run's, so all modules have the same."""
    return modules[0].multiple if modules else 1


def log_gains(utilities_M: FloatArray, max_ranks_M: IntArray) -> FloatArray:
    """gains_MR of the utility u * log(1 + r): concave, and linear in what a module is worth."""
    ranks_R = np.arange(int(max_ranks_M.max(initial=0)), dtype=np.float64)
    steps_R: FloatArray = np.log((ranks_R + 2) / (ranks_R + 1))
    return utilities_M[:, None] * steps_R[None, :]


def allocate(
    gains_MR: FloatArray,
    costs_M: IntArray,
    budget: int,
    *,
    min_ranks_M: IntArray,
    max_ranks_M: IntArray,
    multiple: int = 1,
) -> IntArray:
    """Ranks of largest total gain within a parameter budget.

    Exact (up to the rounding of sums) for concave gains; others are replaced by their least concave
    majorant. Ties go to the earlier row: callers sort with ``in_order``, so that equal inputs give
    equal ranks.

    Args:
        gains_MR: Gain of each module's next rank, at least 0; column r leads from rank r to r + 1.
        costs_M: Parameters of one unit of rank, at least 1.
        budget: Parameters in total; never exceeded.
        min_ranks_M: Smallest ranks.
        max_ranks_M: Largest ranks; not above R.
        multiple: Ranks are ``min_ranks_M`` plus a multiple of this.

    Returns:
        ranks_M.

    Raises:
        ValueError: If the minimum ranks alone exceed the budget, a minimum exceeds its maximum, or
            a gain is negative or not finite.

    Source: within one cost class marginal allocation is exact (Fox 1966, Operations Research
        14(2)); classes are combined by dynamic programming with dominance (Nemhauser & Ullmann
        1969, Management Science 15(9)) under a Lagrangian bound (Everett 1963, Operations Research
        11(3)).
    """
    _check(gains_MR, budget, costs_M, min_ranks_M, max_ranks_M)
    free = budget - int(costs_M @ min_ranks_M)
    classes = _cost_classes(gains_MR, costs_M, min_ranks_M, max_ranks_M, multiple)
    ranks_M = min_ranks_M.copy()
    for cost_class, count in zip(classes, best_counts(classes, free), strict=True):
        np.add.at(ranks_M, cost_class.rows_N[:count], multiple)
    return ranks_M


def uniform_ranks(modules: Sequence[ModuleState], budget: int) -> dict[str, int]:
    """The largest equal rank that fits, clipped to each module's bounds; pinned ones keep theirs.

    Ranks go up by the modules' ``multiple``. The leftover buys single steps, spread over the model
    by error diffusion: walking the modules in order, one gets one more when its share of the
    leftover, carried along, covers its cost. Handing them out from the front would give every extra
    rank to the early layers, where they helped least (RANK_SPIKE.md section 2). What is left then
    goes, in order, to whatever still fits.

    Raises:
        ValueError: If the minimum and pinned ranks alone exceed the budget.
    """
    ordered = in_order(modules)
    multiple = multiple_of(ordered)
    costs_M = costs_of(ordered)
    low_M, high_M = bounds_of(ordered)
    check_bounds(costs_M, budget, low_M, high_M)

    def clipped(num_steps: int) -> IntArray:
        ranks_M: IntArray = np.clip(num_steps * multiple, low_M, high_M)
        return ranks_M

    steps, above = 0, int(high_M.max(initial=0)) // multiple + 1
    while above - steps > 1:
        middle = (steps + above) // 2
        steps, above = (middle, above) if costs_M @ clipped(middle) <= budget else (steps, middle)
    ranks_M = clipped(steps)
    rises_M = clipped(steps + 1) - ranks_M
    prices_M = costs_M * rises_M
    left = budget - int(costs_M @ ranks_M)
    # All rises together exceed the leftover, or ``steps`` would be larger: shares stay within it.
    shares_M = np.cumsum(prices_M) * left // max(int(prices_M.sum()), 1)
    spent = 0
    for row in np.flatnonzero(rises_M):
        if spent + prices_M[row] <= shares_M[row]:
            ranks_M[row] += rises_M[row]
            rises_M[row] = 0
            spent += int(prices_M[row])
    for row in np.flatnonzero(rises_M):
        if spent + prices_M[row] <= left:
            ranks_M[row] += rises_M[row]
            spent += int(prices_M[row])
    return {m.name: int(r) for m, r in zip(ordered, ranks_M, strict=True)}


def check_bounds(costs_M: IntArray, budget: int, low_M: IntArray, high_M: IntArray) -> None:
    """Refuse bounds that contradict each other or the budget.

    Raises:
        ValueError: Saying rule, value and remedy.
    """
    crossed = np.flatnonzero(low_M > high_M)
    if crossed.size:
        row = int(crossed[0])
        raise ValueError(
            f"a minimum rank must not exceed its maximum of {high_M[row]}, "
            f"got {low_M[row]} (module {row}); lower the minimum"
        )
    needed = int(costs_M @ low_M)
    if needed > budget:
        raise ValueError(
            f"the minimum and pinned ranks must fit the budget of {budget} parameters, "
            f"they need {needed}; raise the budget, lower the minimum rank or unpin modules"
        )


def _check(
    gains_MR: FloatArray, budget: int, costs_M: IntArray, low_M: IntArray, high_M: IntArray
) -> None:
    check_bounds(costs_M, budget, low_M, high_M)
    if not np.all(np.isfinite(gains_MR)) or np.any(gains_MR < 0):
        raise ValueError(
            "gains must be finite and at least 0, got "
            f"{float(gains_MR.min())} to {float(gains_MR.max())}; clip them before allocating"
        )
    if high_M.max(initial=0) > gains_MR.shape[1]:
        raise ValueError(
            f"gains must cover the largest rank of {high_M.max()}, "
            f"got {gains_MR.shape[1]} columns; lengthen the gains or lower the maximum rank"
        )


def concave(gains_R: FloatArray) -> FloatArray:
    """Non-increasing gains whose sums are the least concave majorant of the given gains' sums.

    Pool adjacent violators (Ayer et al. 1955). Measured gains are noisy, and the greedy order
    within a class is exact for non-increasing gains only.
    """
    if np.all(np.diff(gains_R) <= 0):
        return gains_R
    blocks: list[tuple[float, int]] = []
    for gain in gains_R:
        mean, size = float(gain), 1
        while blocks and blocks[-1][0] < mean:
            last_mean, last_size = blocks.pop()
            mean = (mean * size + last_mean * last_size) / (size + last_size)
            size += last_size
        blocks.append((mean, size))
    return np.repeat([mean for mean, _ in blocks], [size for _, size in blocks])


def _cost_classes(
    gains_MR: FloatArray, costs_M: IntArray, low_M: IntArray, high_M: IntArray, multiple: int
) -> list[CostClass]:
    """Every class with something to buy, cheapest first."""
    classes = []
    for cost in np.unique(costs_M):
        rows: list[IntArray] = []
        gains: list[FloatArray] = []
        for row in np.flatnonzero(costs_M == cost):
            num_blocks = int(high_M[row] - low_M[row]) // multiple
            start = int(low_M[row])
            blocks_RQ = gains_MR[row, start : start + num_blocks * multiple].reshape(-1, multiple)
            gains.append(concave(blocks_RQ.sum(axis=1)))
            rows.append(np.full(num_blocks, row, dtype=np.int64))
        rows_N, gains_N = np.concatenate(rows), np.concatenate(gains)
        # Stable: a module's blocks stay in order, and equal gains go to the earlier row.
        best_first_N = np.argsort(-gains_N, kind="stable")
        if rows_N.size:
            classes.append(
                CostClass(int(cost) * multiple, rows_N[best_first_N], gains_N[best_first_N])
            )
    return classes
