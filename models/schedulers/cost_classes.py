"""How much to buy in each class of equally dear modules: exact, because there are few classes.

Shape letters: K classes of modules with equal cost, N items (a module's next block of ranks) of
one class or counts of them, S partial solutions.
"""

from typing import NamedTuple

import numpy as np

from rankscope.models.inventory import FloatArray, IntArray

NEARBY_COUNTS = 8
"""Half-width of the first, narrow search; wider ones follow, pruned by what was found. Costs of
transformers share a large divisor (width 128: 256 and 384 are 2 and 3 units), so that eight counts
in each direction already reach every remainder."""

RELATIVE_TOLERANCE = 1e-11
"""Shares of the value below this count as nothing: summing 10,000 gains in float64 errs by less."""


class CostClass(NamedTuple):
    """All items of one cost, best first: the first n are the best choice of n."""

    cost: int
    rows_N: IntArray
    gains_N: FloatArray


class Line(NamedTuple):
    """One class seen from a price: how far each count stays below the best trade at that price."""

    cost: int
    start: int
    shortfall_N: FloatArray


class Partials(NamedTuple):
    """Counts for the first few classes, what they cost and how far they stay below the bound."""

    costs_S: IntArray
    shortfall_S: FloatArray
    counts_SK: IntArray


def best_counts(classes: list[CostClass], free: int) -> list[int]:
    """How many items of each class to buy for at most ``free`` parameters.

    Buying by gain per cost over all classes until an item does not fit gives counts x. Some optimal
    solution differs from x by at most 2 * (largest cost / gcd) items in total: if there were more
    differences, ordered so that their running cost stays within one item of zero, two running costs
    would agree, and undoing the differences in between would cost nothing and lose nothing. So only
    counts near x are searched, and the bound prunes most of these.
    """
    if not classes:
        return []
    starts, price = _greedy_counts(classes, free)
    curves = [np.concatenate(([0.0], np.cumsum(c.gains_N))) for c in classes]
    lines = []
    for cost_class, curve_N, start in zip(classes, curves, starts, strict=True):
        surplus_N = curve_N - price * cost_class.cost * np.arange(curve_N.size)
        lines.append(Line(cost_class.cost, start, surplus_N.max() - surplus_N))
    costs_K = np.array([c.cost for c in classes])
    widest = 2 * int(costs_K.max()) // int(np.gcd.reduce(costs_K))
    negligible = RELATIVE_TOLERANCE * (price * free + sum(float(c[-1]) for c in curves))
    best, gap = starts, np.inf
    half_width = min(NEARBY_COUNTS, widest)
    while gap > negligible:
        found = _search(lines, half_width, price, free, gap - negligible)
        if found is not None:
            best, gap = found
        if half_width == widest:
            break
        half_width = min(8 * half_width, widest)
    return best


def _greedy_counts(classes: list[CostClass], free: int) -> tuple[list[int], float]:
    """Counts bought by gain per cost until an item does not fit, and that item's gain per cost."""
    owner_N = np.repeat(np.arange(len(classes)), [c.gains_N.size for c in classes])
    costs_N = np.repeat([c.cost for c in classes], [c.gains_N.size for c in classes])
    density_N = np.concatenate([c.gains_N / c.cost for c in classes])
    order_N = np.argsort(-density_N, kind="stable")
    bought = int(np.searchsorted(np.cumsum(costs_N[order_N]), free, side="right"))
    counts_K = np.bincount(owner_N[order_N[:bought]], minlength=len(classes))
    price = float(density_N[order_N[bought]]) if bought < order_N.size else 0.0
    return [int(n) for n in counts_K], price


def _search(
    lines: list[Line], half_width: int, price: float, free: int, gap: float
) -> tuple[list[int], float] | None:
    """The best counts near the start, and how far below the bound; None if not within ``gap``.

    At ``price`` (gain per parameter) no purchase is worth more than the bound: the sum of every
    class's best trade plus the price of the whole budget. A solution stays below it by the sum of
    its classes' shortfalls and the price of what it leaves unspent, all of which are at least 0.
    """
    partials = Partials(np.zeros(1, dtype=np.int64), np.zeros(1), np.zeros((1, 0), dtype=np.int64))
    *first_lines, last = lines
    for line in first_lines:
        low, high = max(0, line.start - half_width), line.start + half_width + 1
        counts_N = low + np.flatnonzero(line.shortfall_N[low:high] < gap)
        costs_SN = partials.costs_S[:, None] + line.cost * counts_N
        shortfall_SN = partials.shortfall_S[:, None] + line.shortfall_N[counts_N]
        of_S, of_N = np.nonzero((costs_SN <= free) & (shortfall_SN < gap))
        counts_SK = np.column_stack((partials.counts_SK[of_S], counts_N[of_N]))
        grown = Partials(costs_SN[of_S, of_N], shortfall_SN[of_S, of_N], counts_SK)
        partials = _undominated(grown, price)
    # Gains are never negative, so the last class takes whatever fits.
    last_S = np.minimum((free - partials.costs_S) // last.cost, last.shortfall_N.size - 1)
    unspent_S = free - partials.costs_S - last.cost * last_S
    gap_S = partials.shortfall_S + last.shortfall_N[last_S] + price * unspent_S
    if not gap_S.size or gap_S.min() >= gap:
        return None
    best = int(np.argmin(gap_S))
    return [*map(int, partials.counts_SK[best]), int(last_S[best])], float(gap_S[best])


def _undominated(partials: Partials, price: float) -> Partials:
    """Without those for which another costs no more and is worth at least as much."""
    worth_S = price * partials.costs_S - partials.shortfall_S
    order_S = np.lexsort((-worth_S, partials.costs_S))
    sorted_S = worth_S[order_S]
    best_before_S = np.concatenate(([-np.inf], np.maximum.accumulate(sorted_S)[:-1]))
    kept_S = order_S[sorted_S > best_before_S]
    return Partials(
        partials.costs_S[kept_S], partials.shortfall_S[kept_S], partials.counts_SK[kept_S]
    )
