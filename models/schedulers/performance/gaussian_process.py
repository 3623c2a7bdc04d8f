"""A Gaussian process over the modules' places: log utilities alike where places are alike.

Shape letters: M modules.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from typing_extensions import override

from rankscope.models.inventory import AdaptableModule, FloatArray
from rankscope.models.schedulers.performance.contract import Belief
from rankscope.models.schedulers.performance.effects import EffectPrior, relative_depths
from rankscope.models.schedulers.performance.filtering import filtered
from rankscope.models.schedulers.performance.keeping import KeepingModel
from rankscope.models.schedulers.performance.kept import Kept

DEPTH_LENGTH = 0.3
"""Length scale in relative depth: half a model apart, layers correlate by exp(-1.4) = 0.25."""

OTHER_TYPE_DISTANCE = 1.0
OTHER_PART_DISTANCE = 2.0
"""Distances in length scales: other types correlate by 0.61, other parts by 0.14."""


@dataclass(frozen=True)
class GaussianProcess(KeepingModel):
    """A radial basis function kernel over (part, relative depth, type), with a common level.

    Means and standard deviations of the single modules are the prior's; the kernel says how they go
    together. Sums are learned one lot after another: first log sums, then linear ones, which are
    linearised at what the log sums say.

    Source: Rasmussen & Williams 2006, Gaussian Processes for Machine Learning, chapter 2.
    """

    @cached_property
    def posterior(self) -> Belief:
        """From all that is kept; computed when first asked for."""
        return _after(self.prior, self.kept)

    @property
    @override
    def belief(self) -> Belief:
        return self.posterior


def _before(prior: EffectPrior) -> Belief:
    level_variance = prior.covariance_DD[0, 0]
    sds_M = prior.sds
    covariance_MM = level_variance + np.outer(sds_M, sds_M) * _correlations(prior.modules)
    return Belief(prior.log_utilities, covariance_MM)


def _after(prior: EffectPrior, kept: Kept) -> Belief:
    belief = _before(prior)
    identity_MM = np.eye(len(prior.modules))
    noise_OO = kept.noise
    for scale in ("log", "linear"):
        rows = [row for row, one in enumerate(kept.observations) if one.scale == scale]
        if rows:
            lot = [kept.observations[row] for row in rows]
            noise = noise_OO[np.ix_(rows, rows)]
            belief = Belief(*filtered(identity_MM, *belief, lot, noise))
    return belief


def _correlations(modules: Sequence[AdaptableModule]) -> FloatArray:
    """The kernel's correlations, shape (M, M)."""
    depths_M = relative_depths(modules)
    parts_M, types_M = np.array([m.part for m in modules]), np.array([m.type for m in modules])
    squared_MM = np.subtract.outer(depths_M, depths_M) ** 2 / DEPTH_LENGTH**2
    squared_MM += OTHER_TYPE_DISTANCE**2 * np.not_equal.outer(types_M, types_M)
    squared_MM += OTHER_PART_DISTANCE**2 * np.not_equal.outer(parts_M, parts_M)
    correlations_MM: FloatArray = np.exp(-squared_MM / 2)
    return correlations_MM
