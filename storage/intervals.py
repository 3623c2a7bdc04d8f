"""95 % intervals of an accuracy: over seeds where there are several, else over items."""

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri, stdtrit

LEVEL = 0.95


class Interval(NamedTuple):
    """A mean with its interval and what the interval counts as chance."""

    mean: float
    low: float
    high: float
    basis: Literal[
        "t over seeds",
        "t over seeds and items",
        "Wilson over items",
        "paired normal over items",
        "none",
    ]


NOTHING = Interval(math.nan, math.nan, math.nan, "none")


def over_seeds(values: Sequence[float]) -> Interval:
    """Student's t interval of the mean of at least two values."""
    n = len(values)
    mean, sd = float(np.mean(values)), float(np.std(values, ddof=1))
    half = float(stdtrit(n - 1, (1 + LEVEL) / 2)) * sd / math.sqrt(n)
    return Interval(mean, mean - half, mean + half, "t over seeds")


def over_seeds_and_items(correct_SN: npt.NDArray[np.bool_]) -> Interval:
    """Interval of the mean accuracy when other seeds and other items could have been drawn.

    Seeds and items are crossed random effects: every seed answered the same items. The variance of
    the grand mean is the mean squares of seeds and of items less that of what is left, over S N,
    with Satterthwaite's degrees of freedom; where the items explain nothing, that of seeds alone,
    and where nothing varies at all, Wilson's interval over items. Bounds are cut at 0 and 1.

    Args:
        correct_SN: Correctness per seed and item, at least two of each.

    Source: two-way random effects without replication (Cornfield & Tukey 1956); degrees of freedom
    of a sum of mean squares (Satterthwaite 1946).
    """
    values_SN = correct_SN.astype(np.float64)
    num_seeds, num_items = values_SN.shape
    mean = float(values_SN.mean())
    seeds_S, items_N = values_SN.mean(axis=1) - mean, values_SN.mean(axis=0) - mean
    rest_SN = values_SN - mean - seeds_S[:, None] - items_N[None, :]
    freedoms = np.array([num_seeds - 1, num_items - 1, (num_seeds - 1) * (num_items - 1)])
    sums = [num_items * (seeds_S**2).sum(), num_seeds * (items_N**2).sum(), (rest_SN**2).sum()]
    squares = np.array(sums) / freedoms
    if squares[1] <= squares[2]:
        squares[1:] = 0.0
    total = float(squares @ [1, 1, -1])
    if total == 0.0:
        return wilson(mean, num_items)
    freedom = total**2 / float((squares**2 / freedoms).sum())
    half = float(stdtrit(freedom, (1 + LEVEL) / 2)) * math.sqrt(total / (num_seeds * num_items))
    return Interval(mean, max(0.0, mean - half), min(1.0, mean + half), "t over seeds and items")


def wilson(fraction: float, num_items: int) -> Interval:
    """Score interval of a binomial fraction (Wilson 1927); never leaves 0..1."""
    z = float(ndtri((1 + LEVEL) / 2))
    shrink = 1 + z * z / num_items
    centre = (fraction + z * z / (2 * num_items)) / shrink
    spread = fraction * (1 - fraction) / num_items + z * z / (4 * num_items**2)
    half = z * math.sqrt(spread) / shrink
    return Interval(fraction, centre - half, centre + half, "Wilson over items")


def paired_over_items(
    ours: npt.NDArray[np.bool_] | npt.NDArray[np.float64],
    theirs: npt.NDArray[np.bool_] | npt.NDArray[np.float64],
) -> Interval:
    """Normal interval of the mean difference of correctness on the same items."""
    differences_N = ours.astype(np.float64) - theirs.astype(np.float64)
    mean, n = float(differences_N.mean()), len(differences_N)
    half = float(ndtri((1 + LEVEL) / 2)) * float(differences_N.std()) / math.sqrt(n)
    return Interval(mean, mean - half, mean + half, "paired normal over items")
