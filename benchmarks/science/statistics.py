"""Paired bootstrap over seeds and items: means over tasks, differences, ratios, Holm.

Every arm answers the same items with the same seeds, so seeds and items are crossed: a draw takes
seeds and items of a task at random, the same ones for every arm and budget, and adds up how far
they move each arm's accuracy (the pigeonhole bootstrap, Owen 2007, Ann. Appl. Stat. 1, 386, to
first order; what seeds and items do only together is counted with both, so that the variance is
overstated rather than understated). Items about one picture are drawn together. A resample of n
seeds varies by only (n - 1) / n of what n new ones would, so their deviations are scaled by
sqrt(n / (n - 1)) (Rao & Wu 1988, JASA 83, 231). Percentiles of so few seeds are too narrow
(Hesterberg 2015, Am. Stat. 69, 371): an interval is the estimate plus or minus Student's t times
the standard deviation of the draws, its degrees of freedom Satterthwaite's (1946) of the seeds'
part of the variance, each task's with its seeds less one.

Shape letters: A arms, B draws, I items, P pictures, S seeds, T tasks.
"""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.special import stdtr, stdtrit

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

LEVEL = 0.95
NUM_DRAWS = 2_000
MANY = 1e6
"""Degrees of freedom of a variance that seeds have no part in."""


class TaskScores(NamedTuple):
    """What the arms answered on one task, budgets and draws averaged.

    ``correct_ASI``: share of right answers per arm, seed and item. ``pictures_I``: which picture an
    item asks about.
    """

    correct_ASI: FloatArray
    pictures_I: IntArray


class Estimate(NamedTuple):
    """A number with its 95 % interval and two-sided p-value against zero."""

    value: float
    low: float
    high: float
    p: float


class Bootstrap:
    """Draws of every arm's accuracy on every task.

    Args:
        arms: Names, in the order of the arrays' first axis.
        scores: By task.
        num_draws: How many.
        seed: Of the draws; equal input gives equal intervals.
        are_tasks_drawn: Resample tasks too: how it would be on other tasks like these.
    """

    def __init__(
        self,
        arms: Sequence[str],
        scores: Mapping[str, TaskScores],
        *,
        num_draws: int = NUM_DRAWS,
        seed: int = 0,
        are_tasks_drawn: bool = False,
    ) -> None:
        rng = np.random.default_rng(seed)
        self._index_of = {arm: index for index, arm in enumerate(arms)}
        self._by_seed = [task.correct_ASI.mean(axis=2) for task in scores.values()]
        self._draws_TBA = np.array([_draws(task, num_draws, rng) for task in scores.values()])
        self._weights_BT: FloatArray | None = None
        if are_tasks_drawn and len(scores) > 1:
            self._weights_BT = _scaled(rng, num_draws, len(scores))

    def accuracy(self, arm: str) -> Estimate:
        """Mean over tasks."""
        weights_A = np.zeros(len(self._index_of))
        weights_A[self._index_of[arm]] = 1.0
        return _cut(self._linear(weights_A), 0.0, 1.0)

    def difference(self, arm: str, other: str) -> Estimate:
        """Mean over tasks of the difference of accuracies, in fractions of one."""
        return _cut(self._linear(self._contrast(arm, other, 1.0)), -1.0, 1.0)

    def relative_gain(self, arm: str, other: str) -> Estimate:
        """Ratio of the means over tasks, less one."""
        ours, theirs = self.accuracy(arm).value, self.accuracy(other).value
        if theirs == 0.0:
            return Estimate(math.nan, math.nan, math.nan, math.nan)
        # The ratio to first order: it moves as ours - ratio * theirs does, over theirs.
        weights_A = self._contrast(arm, other, ours / theirs)
        draws_B = self._combined(self._draws_TBA @ weights_A) / theirs
        gain = _with_t(ours / theirs - 1, draws_B, self._freedom(weights_A))
        return _cut(gain, -1.0, math.inf)

    def _contrast(self, arm: str, other: str, weight: float) -> FloatArray:
        weights_A = np.zeros(len(self._index_of))
        weights_A[self._index_of[arm]] += 1.0
        weights_A[self._index_of[other]] -= weight
        return weights_A

    def _linear(self, weights_A: FloatArray) -> Estimate:
        value = float(np.mean([weights_A @ by_seed_AS.mean(1) for by_seed_AS in self._by_seed]))
        draws_B = self._combined(self._draws_TBA @ weights_A)
        return _with_t(value, draws_B, self._freedom(weights_A))

    def _combined(self, draws_TB: FloatArray) -> FloatArray:
        if self._weights_BT is None:
            return np.asarray(draws_TB.mean(axis=0))
        return np.asarray(np.einsum("bt,tb->b", self._weights_BT, draws_TB))

    def _freedom(self, weights_A: FloatArray) -> float:
        if self._weights_BT is not None:
            return float(len(self._by_seed) - 1)
        total = float((self._draws_TBA @ weights_A).var(axis=1, ddof=1).sum())
        part = 0.0
        for by_seed_AS in self._by_seed:
            values_S = weights_A @ by_seed_AS
            if len(values_S) > 1:
                variance = float(values_S.var(ddof=1)) / len(values_S)
                part += variance**2 / (len(values_S) - 1)
        return min(total**2 / part, MANY) if part else MANY


def holm(p_by_name: Mapping[str, float]) -> dict[str, float]:
    """p-values corrected for their number, step down (Holm 1979, Scand. J. Stat. 6, 65)."""
    ordered = sorted(p_by_name, key=lambda name: p_by_name[name])
    corrected: dict[str, float] = {}
    highest = 0.0
    for rank, name in enumerate(ordered):
        highest = max(highest, min(1.0, (len(ordered) - rank) * p_by_name[name]))
        corrected[name] = highest
    return {name: corrected[name] for name in p_by_name}


def _draws(scores: TaskScores, num_draws: int, rng: np.random.Generator) -> FloatArray:
    """Accuracies (B, A) of resampled seeds and pictures, the same ones for every arm."""
    _, num_seeds, num_items = scores.correct_ASI.shape
    _, picture_I = np.unique(scores.pictures_I, return_inverse=True)
    num_pictures = int(picture_I.max()) + 1
    one_hot_IP = np.zeros((num_items, num_pictures))
    one_hot_IP[np.arange(num_items), picture_I] = 1.0
    right_AP = scores.correct_ASI.mean(axis=1) @ one_hot_IP
    counts_BP = rng.multinomial(num_pictures, np.full(num_pictures, 1 / num_pictures), num_draws)
    drawn_items_B = counts_BP @ one_hot_IP.sum(axis=0)
    of_items_BA = counts_BP @ right_AP.T / drawn_items_B[:, None]
    by_seed_AS = scores.correct_ASI.mean(axis=2)
    of_seeds_BA = _scaled(rng, num_draws, num_seeds) @ by_seed_AS.T
    return np.asarray(of_items_BA + of_seeds_BA - by_seed_AS.mean(axis=1))


def _scaled(rng: np.random.Generator, num_draws: int, size: int) -> FloatArray:
    """Weights (B, size) of a resample, deviations widened to those of ``size`` new ones."""
    if size == 1:
        return np.ones((num_draws, 1))
    counts = rng.multinomial(size, np.full(size, 1 / size), size=num_draws) / size
    return np.asarray(1 / size + np.sqrt(size / (size - 1)) * (counts - 1 / size))


def _cut(estimate: Estimate, least: float, most: float) -> Estimate:
    """An interval within what is possible."""
    return estimate._replace(low=max(least, estimate.low), high=min(most, estimate.high))


def _with_t(value: float, draws_B: FloatArray, freedom: float) -> Estimate:
    error = float(draws_B.std(ddof=1))
    half = float(stdtrit(freedom, (1 + LEVEL) / 2)) * error
    if error == 0.0:
        return Estimate(value, value, value, 1.0 if value == 0.0 else 0.0)
    p = 2 * float(stdtr(freedom, -abs(value) / error))
    return Estimate(value, value - half, value + half, p)
