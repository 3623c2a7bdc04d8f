"""The Gaussian update from sums of exponentials, which are not linear in what is to be learned.

Shape letters: M modules, D parameters, O observations.
"""

from collections.abc import Sequence

import numpy as np

from rankscope.models.inventory import FloatArray
from rankscope.models.schedulers.performance.contract import Observation, linearised

NUM_LINEARISATIONS = 8
"""Gauss-Newton rounds per update; the first event's 13 log sums settle to 1e-9 in about five."""


def filtered(
    design_MD: FloatArray,
    mean_D: FloatArray,
    covariance_DD: FloatArray,
    observations: Sequence[Observation],
    noise_OO: FloatArray,
) -> tuple[FloatArray, FloatArray]:
    """Posterior mean and covariance of the parameters behind log u = design @ parameters.

    Log sums are linearised anew each round. Linear sums, whose exponential slope could carry a
    surprising value away, are linearised once at the old mean.

    Source: Bell & Cathey 1993, IEEE Trans. Automatic Control 38(2), for the iterated filter.
    """
    value_O = np.array([one.value for one in observations])
    old_mean_D = mean_D
    for _ in range(NUM_LINEARISATIONS):
        expected_O, slope_OD = _lines(design_MD, old_mean_D, mean_D, observations)
        cross_DO = covariance_DD @ slope_OD.T
        gain_DO = np.linalg.solve(slope_OD @ cross_DO + noise_OO, cross_DO.T).T
        mean_D = old_mean_D + gain_DO @ (value_O - expected_O)
    covariance_DD = covariance_DD - gain_DO @ cross_DO.T
    return mean_D, (covariance_DD + covariance_DD.T) / 2


def _lines(
    design_MD: FloatArray,
    old_mean_D: FloatArray,
    mean_D: FloatArray,
    observations: Sequence[Observation],
) -> tuple[FloatArray, FloatArray]:
    """expected_O at the old mean, by the straight lines, and their slopes slope_OD."""
    expected, slopes = [], []
    for one in observations:
        anchor_D = mean_D if one.scale == "log" else old_mean_D
        at_anchor, slope_M = linearised(one.weights_M, design_MD @ anchor_D, one.scale)
        slope_D = slope_M @ design_MD
        expected.append(at_anchor + slope_D @ (old_mean_D - anchor_D))
        slopes.append(slope_D)
    return np.array(expected), np.array(slopes)
