"""What a performance model is: a belief about what each module's rank is worth, and how it learns.

A module's utility u is the loss its adapter takes away per unit of log(1 + rank), in nats.

Shape letters: M modules, O observations, C candidates.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, Self

import numpy as np
from pydantic import JsonValue

from rankscope.models.inventory import AdaptableModule, FloatArray
from rankscope.models.schedulers.performance.effects import EffectPrior, group_contrasts

Scale = Literal["linear", "log"]

SURPRISE_LIMIT_SDS = 3.0
"""A linear sum further than this many predictive sds off counts as this far: its slope holds only
nearby, and one spike of the loss must not wipe out what was learned."""

LEVEL_DRIFT_SD = 0.5
"""Sd of the level's change between decisions. Adapters come to carry more as they train; without
this, a later look at a few groups would read the common growth as those groups' own merit."""


class Prediction(NamedTuple):
    """A predicted gain and its standard deviation (nats)."""

    mean: float
    sd: float


class EffectBelief(NamedTuple):
    """How much more than others a part's, layer's or type's modules are worth, for people."""

    name: str
    mean: float
    """Mean log utility of its modules less that of all modules (natural-log units)."""
    sd: float


@dataclass(frozen=True)
class Observation:
    """One measured sum of utilities: ``value`` = sum of weights * utilities, or its logarithm.

    ``weights_M`` are log(1 + rank) for what is on, or its change for a move.
    """

    weights_M: FloatArray
    value: float
    sd: float
    scale: Scale


class Belief(NamedTuple):
    """A joint Gaussian over the modules' log utilities."""

    mean_M: FloatArray
    covariance_MM: FloatArray


class PerformanceModel(ABC):
    """What a scheduler asks of a performance model, whatever is inside; a frozen value."""

    @classmethod
    @abstractmethod
    def from_prior(cls, prior: EffectPrior) -> Self:
        """Before measuring."""

    @classmethod
    @abstractmethod
    def from_state(cls, prior: EffectPrior, state: Mapping[str, JsonValue]) -> Self:
        """From what ``state`` gave, with the prior that the model began with.

        Raises:
            ValueError: If the state belongs to other modules.
        """

    @abstractmethod
    def state(self) -> dict[str, JsonValue]:
        """All that was learned, as plain JSON; exact through a round trip."""

    @property
    @abstractmethod
    def modules(self) -> tuple[AdaptableModule, ...]:
        """The modules, in the order of every vector."""

    @property
    @abstractmethod
    def belief(self) -> Belief:
        """The present belief about log utilities."""

    @abstractmethod
    def update(self, observations: Sequence[Observation]) -> Self:
        """Learn from measured sums."""

    @abstractmethod
    def forget(self, kept_precision: float) -> Self:
        """Let the past count less: its precision times ``kept_precision``, and levels drift."""

    @property
    def utilities(self) -> FloatArray:
        """utilities_M: medians, so that nothing is preferred for being unknown."""
        utilities_M: FloatArray = np.exp(self.belief.mean_M)
        return utilities_M

    def predict(self, weights_M: FloatArray) -> Prediction:
        """Sum of weights * utilities; the sd is that of the sum linearised at the mean."""
        belief = self.belief
        mean, slope_M = linearised(weights_M, belief.mean_M, "linear")
        variance = float(slope_M @ belief.covariance_MM @ slope_M)
        return Prediction(mean, float(np.sqrt(max(0.0, variance))))

    def effects(self) -> tuple[EffectBelief, ...]:
        """Every part, layer and type against all modules, for people."""
        belief = self.belief
        effects = []
        for name, contrast_M in group_contrasts(self.modules).items():
            variance = float(contrast_M @ belief.covariance_MM @ contrast_M)
            mean = float(contrast_M @ belief.mean_M)
            effects.append(EffectBelief(name, mean, max(0.0, variance) ** 0.5))
        return tuple(effects)

    def most_telling(
        self, candidates: Mapping[str, Observation], weights_M: FloatArray, count: int
    ) -> tuple[str, ...]:
        """The candidates that would most reduce the variance of ``predict(weights_M)``.

        Chosen one after another, each given the earlier ones; what they will say is not needed for
        that. Ties go to the earlier candidate.
        """
        mean_M, covariance_MM = self.belief
        _, wanted_M = linearised(weights_M, mean_M, "linear")
        slopes = {
            name: linearised(one.weights_M, mean_M, one.scale)[1]
            for name, one in candidates.items()
        }
        chosen: list[str] = []
        while len(chosen) < min(count, len(candidates)):
            gains: dict[str, float] = {}
            spreads: dict[str, FloatArray] = {}
            for name, slope_M in slopes.items():
                if name in chosen:
                    continue
                spread_M = covariance_MM @ slope_M
                noise = float(slope_M @ spread_M + candidates[name].sd ** 2)
                spreads[name] = spread_M / noise**0.5
                gains[name] = float((wanted_M @ spreads[name]) ** 2)
            best = max(gains, key=lambda name: gains[name])
            covariance_MM = covariance_MM - np.outer(spreads[best], spreads[best])
            chosen.append(best)
        return tuple(chosen)

    def tempered(self, observation: Observation) -> float:
        """The observed value; a linear sum's held within reach of its prediction."""
        if observation.scale == "log":
            return observation.value
        expected = self.predict(observation.weights_M)
        reach = SURPRISE_LIMIT_SDS * float(np.hypot(expected.sd, observation.sd))
        return float(np.clip(observation.value, expected.mean - reach, expected.mean + reach))


def linearised(
    weights_M: FloatArray, log_utilities_M: FloatArray, scale: Scale
) -> tuple[float, FloatArray]:
    """The (log) sum of weights * utilities, and its slope in the log utilities."""
    parts_M = weights_M * np.exp(log_utilities_M)
    total = float(parts_M.sum())
    if scale == "linear":
        return total, parts_M
    return float(np.log(total)), parts_M / total
