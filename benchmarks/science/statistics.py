"""Paired bootstrap over seeds and items: means over tasks, differences, ratios, Holm.

Every arm answers the same items with the same seeds, so seeds and items are crossed: a draw takes
seeds and items of a task at random, the same ones for every arm and budget (the pigeonhole
bootstrap, Owen 2007, Ann. Appl. Stat. 1, 386: it never understates the variance of a crossed mean).
Items about one picture are drawn together. Seeds are few, and a resample of n of them varies by
only (n - 1) / n of what n new ones would: their deviations are scaled by sqrt(n / (n - 1))
(Rao & Wu 1988, JASA 83, 231), and intervals are the estimate plus or minus Student's t times the
standard deviation of the draws, because percentiles of so few seeds are too narrow (Hesterberg
2015, Am. Stat. 69, 371). Degrees of freedom: Satterthwaite's over the tasks' variances, the number
of seeds less one each.

Shape letters: A arms, B draws, I items, S seeds, T tasks.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.special import stdtr, stdtrit

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

LEVEL = 0.95
NUM_DRAWS = 2_000


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
        self._mean_TA = np.array([task.correct_ASI.mean((1, 2)) for task in scores.values()])
        self._draws_TBA = np.array([_draws(task, num_draws, rng) for task in scores.values()])
        self._seeds_T = np.array([task.correct_ASI.shape[1] for task in scores.values()])
        num_tasks = len(scores)
        self._weights_BT: FloatArray | None = None
        if are_tasks_drawn and num_tasks > 1:
            self._weights_BT = _scaled(rng, num_draws, num_tasks)

    def accuracy(self, arm: str) -> Estimate:
        """Mean over tasks."""
        index = self._index_of[arm]
        return self._linear(self._mean_TA[:, index], self._draws_TBA[:, :, index])

    def difference(self, arm: str, other: str) -> Estimate:
        """Mean over tasks of the difference of accuracies, in fractions of one."""
        ours, theirs = self._index_of[arm], self._index_of[other]
        return self._linear(
            self._mean_TA[:, ours] - self._mean_TA[:, theirs],
            self._draws_TBA[:, :, ours] - self._draws_TBA[:, :, theirs],
        )

    def relative_gain(self, arm: str, other: str) -> Estimate:
        """Ratio of the means over tasks, less one."""
        ours, theirs = self._index_of[arm], self._index_of[other]
        our_mean, their_mean = self._mean_TA[:, ours].mean(), self._mean_TA[:, theirs].mean()
        if their_mean == 0.0:
            return Estimate(np.nan, np.nan, np.nan, np.nan)
        ratio = our_mean / their_mean
        # The gain is (ours - ratio0 * theirs) / theirs: its tasks' shares give the freedom.
        parts_TB = self._draws_TBA[:, :, ours] - ratio * self._draws_TBA[:, :, theirs]
        draws_B = self._combined(self._draws_TBA[:, :, ours]) / self._combined(
            self._draws_TBA[:, :, theirs]
        )
        return _with_t(float(ratio - 1), draws_B - 1, self._freedom(parts_TB))

    def _linear(self, mean_T: FloatArray, draws_TB: FloatArray) -> Estimate:
        return _with_t(float(mean_T.mean()), self._combined(draws_TB), self._freedom(draws_TB))

    def _combined(self, draws_TB: FloatArray) -> FloatArray:
        if self._weights_BT is None:
            return np.asarray(draws_TB.mean(axis=0), dtype=np.float64)
        return np.asarray(np.einsum("bt,tb->b", self._weights_BT, draws_TB), dtype=np.float64)

    def _freedom(self, draws_TB: FloatArray) -> float:
        if self._weights_BT is not None:
            return float(len(draws_TB) - 1)
        variances_T = draws_TB.var(axis=1)
        if not variances_T.any():
            return float(np.sum(np.maximum(self._seeds_T - 1, 1)))
        freedoms_T = np.maximum(self._seeds_T - 1, 1)
        return float(variances_T.sum() ** 2 / (variances_T**2 / freedoms_T).sum())


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
    num_arms, num_seeds, num_items = scores.correct_ASI.shape
    _, picture_I = np.unique(scores.pictures_I, return_inverse=True)
    num_pictures = int(picture_I.max()) + 1
    one_hot_IP = np.zeros((num_items, num_pictures))
    one_hot_IP[np.arange(num_items), picture_I] = 1.0
    right_RP = scores.correct_ASI.reshape(-1, num_items) @ one_hot_IP
    counts_BP = rng.multinomial(
        num_pictures, np.full(num_pictures, 1 / num_pictures), size=num_draws
    ).astype(np.float64)
    drawn_items_B = counts_BP @ one_hot_IP.sum(axis=0)
    by_seed_BAS = (counts_BP @ right_RP.T / drawn_items_B[:, None]).reshape(
        num_draws, num_arms, num_seeds
    )
    return np.asarray(
        np.einsum("bas,bs->ba", by_seed_BAS, _scaled(rng, num_draws, num_seeds)), dtype=np.float64
    )


def _scaled(rng: np.random.Generator, num_draws: int, size: int) -> FloatArray:
    """Weights (B, size) of a resample, deviations widened to those of ``size`` new ones."""
    if size == 1:
        return np.ones((num_draws, 1))
    counts = rng.multinomial(size, np.full(size, 1 / size), size=num_draws) / size
    return np.asarray(1 / size + np.sqrt(size / (size - 1)) * (counts - 1 / size))


def _with_t(value: float, draws_B: FloatArray, freedom: float) -> Estimate:
    error = float(draws_B.std(ddof=1))
    half = float(stdtrit(freedom, (1 + LEVEL) / 2)) * error
    if error == 0.0:
        return Estimate(value, value, value, 1.0 if value == 0.0 else 0.0)
    p = 2 * float(stdtr(freedom, -abs(value) / error))
    return Estimate(value, value - half, value + half, p)
