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
    basis: Literal["t over seeds", "Wilson over items", "paired normal over items", "none"]


NOTHING = Interval(math.nan, math.nan, math.nan, "none")


def over_seeds(values: Sequence[float]) -> Interval:
    """Student's t interval of the mean of at least two values."""
    n = len(values)
    mean, sd = float(np.mean(values)), float(np.std(values, ddof=1))
    half = float(stdtrit(n - 1, (1 + LEVEL) / 2)) * sd / math.sqrt(n)
    return Interval(mean, mean - half, mean + half, "t over seeds")


def wilson(fraction: float, num_items: int) -> Interval:
    """Score interval of a binomial fraction (Wilson 1927); never leaves 0..1."""
    z = float(ndtri((1 + LEVEL) / 2))
    shrink = 1 + z * z / num_items
    centre = (fraction + z * z / (2 * num_items)) / shrink
    spread = fraction * (1 - fraction) / num_items + z * z / (4 * num_items**2)
    half = z * math.sqrt(spread) / shrink
    return Interval(fraction, centre - half, centre + half, "Wilson over items")


def paired_over_items(ours: npt.NDArray[np.bool_], theirs: npt.NDArray[np.bool_]) -> Interval:
    """Normal interval of the mean difference of correctness on the same items."""
    differences_N = ours.astype(np.float64) - theirs.astype(np.float64)
    mean, n = float(differences_N.mean()), len(differences_N)
    half = float(ndtri((1 + LEVEL) / 2)) * float(differences_N.std()) / math.sqrt(n)
    return Interval(mean, mean - half, mean + half, "paired normal over items")
