"""Which modules to leave without an adapter where the budget does not pay for all of them.

Shape letters: M modules, C distinct prices.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from rankscope.models.inventory import IntArray

BoolArray = npt.NDArray[np.bool_]

_MAX_NAMES_TOLD = 6


def kept_modules(prices_M: IntArray, budget: int) -> BoolArray:
    """Leave out as few modules as can be and, of those, cheap ones; what is kept fits the budget.

    Of modules of one price, those left out stand evenly spaced in the given order, so that none of
    the layers bears all.

    Args:
        prices_M: Parameters that a module costs when it is kept, at least 1 each; modules in the
            order of the model.
        budget: Parameters in total; never exceeded.

    Returns:
        kept_M: True where a module is kept, at least once.

    Raises:
        ValueError: If not even the cheapest module fits.
    """
    if budget < prices_M.min():
        raise ValueError(
            f"budget must pay for the cheapest module ({int(prices_M.min()):,} parameters), "
            f"got {budget:,}; raise it"
        )
    price_C, count_C = np.unique(prices_M, return_counts=True)
    kept_M = np.ones(len(prices_M), dtype=np.bool_)
    num_out_C = _num_left_out(price_C, count_C, int(prices_M.sum()) - budget)
    for price, num_out in zip(price_C, num_out_C, strict=True):
        places = np.flatnonzero(prices_M == price)
        kept_M[places[(2 * np.arange(num_out) + 1) * len(places) // (2 * max(num_out, 1))]] = False
    return kept_M


def told(names: Sequence[str]) -> str:
    """The first of some names, for a line that people read."""
    shown = ", ".join(names[:_MAX_NAMES_TOLD])
    rest = len(names) - _MAX_NAMES_TOLD
    return f"{shown} and {rest} more" if rest > 0 else shown


def _num_left_out(price_C: IntArray, count_C: IntArray, excess: int) -> IntArray:
    """How many modules of each price to leave out to save ``excess``; prices rise along C.

    The number of modules is the least possible. Each is the cheapest with which as many of the
    most expensive as may still follow save the rest.
    """
    left_C, out_C = count_C.copy(), np.zeros_like(count_C)
    num_slots = 0
    while _saved_by_dearest(price_C, left_C, num_slots) < excess:
        num_slots += 1
    for slots_after in range(num_slots - 1, -1, -1):
        for place in np.flatnonzero(left_C):
            left_C[place] -= 1
            if price_C[place] + _saved_by_dearest(price_C, left_C, slots_after) >= excess:
                break
            left_C[place] += 1
        out_C[place] += 1
        excess -= int(price_C[place])
    return out_C


def _saved_by_dearest(price_C: IntArray, left_C: IntArray, num_modules: int) -> int:
    """Parameters of the ``num_modules`` most expensive modules."""
    before_C = np.cumsum(left_C[::-1]) - left_C[::-1]
    taken_C = np.clip(num_modules - before_C, 0, left_C[::-1])
    return int(price_C[::-1] @ taken_C)
