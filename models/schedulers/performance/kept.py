"""Observations that a model keeps and learns from anew at every update, with their age.

Shape letters: M modules, O observations.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, JsonValue

from rankscope.models.inventory import FloatArray
from rankscope.models.schedulers.performance.contract import LEVEL_DRIFT_SD, Observation, Scale

MAX_KEPT = 200
"""The oldest go first; a run of HyDRA's defaults makes about 40."""


class _One(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    weights: dict[int, float] = Field(description="By the module's row; 0 where left out.")
    value: float
    sd: float
    scale: Scale
    age: int


class _State(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    num_modules: int
    observations: tuple[_One, ...]


@dataclass(frozen=True)
class Kept:
    """Observations in the order made; ``ages`` count how often they were forgotten since."""

    observations: tuple[Observation, ...] = ()
    ages: tuple[int, ...] = ()

    def with_new(self, observations: Sequence[Observation]) -> Self:
        """The newest ``MAX_KEPT``."""
        return replace(
            self,
            observations=(*self.observations, *observations)[-MAX_KEPT:],
            ages=(*self.ages, *(0 for _ in observations))[-MAX_KEPT:],
        )

    def aged(self, kept_precision: float) -> Self:
        """One more forgetting: all precisions times ``kept_precision``."""
        factor = kept_precision**-0.5
        return replace(
            self,
            observations=tuple(replace(one, sd=one.sd * factor) for one in self.observations),
            ages=tuple(age + 1 for age in self.ages),
        )

    @property
    def noise(self) -> FloatArray:
        """Covariance of what observations err by against the present utilities.

        The common level walks by ``LEVEL_DRIFT_SD`` per forgetting, so that two log sums share the
        walk since the later one. Linear sums are judged wide enough as they are.
        """
        ages_O = np.array(self.ages, dtype=np.float64)
        logs_O = np.array([float(one.scale == "log") for one in self.observations])
        shared_OO = np.minimum.outer(ages_O, ages_O) * np.outer(logs_O, logs_O)
        sds_O = np.array([one.sd for one in self.observations])
        noise_OO: FloatArray = np.diag(sds_O**2) + LEVEL_DRIFT_SD**2 * shared_OO
        return noise_OO

    def state(self, num_modules: int) -> dict[str, JsonValue]:
        """Plain JSON, exact."""
        listed = tuple(
            _One(
                weights={int(row): float(one.weights_M[row]) for row in one.weights_M.nonzero()[0]},
                value=one.value,
                sd=one.sd,
                scale=one.scale,
                age=age,
            )
            for one, age in zip(self.observations, self.ages, strict=True)
        )
        return _State(num_modules=num_modules, observations=listed).model_dump(mode="json")

    @classmethod
    def from_state(cls, state: Mapping[str, JsonValue], num_modules: int) -> Self:
        """From what ``state`` gave.

        Raises:
            ValueError: If the state belongs to other modules.
        """
        known = _State.model_validate(state)
        if known.num_modules != num_modules:
            raise ValueError(
                f"the performance model must be of these {num_modules} modules, the stored one is "
                f"of {known.num_modules}; resume with the adapters the run began with"
            )
        observations = []
        for one in known.observations:
            weights_M = np.zeros(num_modules)
            weights_M[list(one.weights)] = list(one.weights.values())
            observations.append(Observation(weights_M, one.value, one.sd, one.scale))
        return cls(tuple(observations), tuple(one.age for one in known.observations))
