"""A Bayesian linear model of log utilities: jointly Gaussian effects, with forgetting.

Shape letters: M modules, D effects.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from pydantic import BaseModel, ConfigDict, JsonValue
from typing_extensions import override

from rankscope.models.inventory import AdaptableModule, FloatArray
from rankscope.models.schedulers.performance.contract import (
    LEVEL_DRIFT_SD,
    Belief,
    Observation,
    PerformanceModel,
)
from rankscope.models.schedulers.performance.effects import EffectPrior
from rankscope.models.schedulers.performance.filtering import filtered


class _State(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    mean: tuple[float, ...]
    triangle: tuple[float, ...]
    """The covariance's lower triangle, row by row."""


@dataclass(frozen=True)
class BayesianLinear(PerformanceModel):
    """log u = mu + part + layer + type + cell, all effects jointly Gaussian.

    HyDRA's own performance model could not be read (ALGORITHMS.md 1.1); this one is ours. Its form
    follows what was measured: layer and type sums of knock-outs are usable, single modules are not
    (RANK_SPIKE.md section 5), and the product of both beats their sum.
    """

    prior: EffectPrior
    mean_D: FloatArray
    covariance_DD: FloatArray

    @override
    @classmethod
    def from_prior(cls, prior: EffectPrior) -> Self:
        return cls(prior, prior.mean_D, prior.covariance_DD)

    @override
    @classmethod
    def from_state(cls, prior: EffectPrior, state: Mapping[str, JsonValue]) -> Self:
        known = _State.model_validate(state)
        size = prior.mean_D.size
        rows, columns = np.tril_indices(size)
        if len(known.mean) != size or len(known.triangle) != rows.size:
            raise ValueError(
                f"the performance model of these modules has {size} parameters, the stored one has "
                f"{len(known.mean)}; resume with the adapters the run began with"
            )
        covariance_DD = np.zeros((size, size))
        covariance_DD[rows, columns] = known.triangle
        covariance_DD[columns, rows] = known.triangle
        return cls(prior, np.array(known.mean), covariance_DD)

    @override
    def state(self) -> dict[str, JsonValue]:
        triangle = self.covariance_DD[np.tril_indices(self.mean_D.size)]
        return {"mean": self.mean_D.tolist(), "triangle": triangle.tolist()}

    @property
    @override
    def modules(self) -> tuple[AdaptableModule, ...]:
        return self.prior.modules

    @property
    @override
    def belief(self) -> Belief:
        design_MD = self.prior.design_MD
        return Belief(design_MD @ self.mean_D, design_MD @ self.covariance_DD @ design_MD.T)

    @override
    def update(self, observations: Sequence[Observation]) -> Self:
        if not observations:
            return self
        held = [replace(one, value=self.tempered(one)) for one in observations]
        noise_OO = np.diag([one.sd**2 for one in held])
        mean_D, covariance_DD = filtered(
            self.prior.design_MD, self.mean_D, self.covariance_DD, held, noise_OO
        )
        return replace(self, mean_D=mean_D, covariance_DD=covariance_DD)

    @override
    def forget(self, kept_precision: float) -> Self:
        covariance_DD = self.covariance_DD / kept_precision
        covariance_DD[0, 0] += LEVEL_DRIFT_SD**2
        return replace(self, covariance_DD=covariance_DD)
