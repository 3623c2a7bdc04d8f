"""Ranks of values, and how two rankings agree; numpy alone, because a worker holds it in memory."""

import numpy as np
import numpy.typing as npt

from rankscope.models.inventory import FloatArray


def average_ranks(values: npt.ArrayLike) -> FloatArray:
    """1 for the smallest; equal values share the mean of their places."""
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    ranks: FloatArray = (np.cumsum(count) - (count - 1) / 2)[place]
    return ranks


def spearman(a: FloatArray, b: FloatArray) -> float:
    """Rank correlation; 0 where one side is constant."""
    away_a, away_b = (average_ranks(values) - (values.size + 1) / 2 for values in (a, b))
    scale = float(np.sqrt((away_a @ away_a) * (away_b @ away_b)))
    return float(away_a @ away_b) / scale if scale > 0 else 0.0
