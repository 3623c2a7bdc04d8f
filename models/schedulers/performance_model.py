"""What each module's rank is worth: a Bayesian linear model of log utilities.

A module's utility u is the loss its adapter takes away per unit of log(1 + rank), in nats.

Shape letters: M modules, D parameters of the model, O observations.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple, Protocol, Self

import numpy as np

from rankscope.models.inventory import AdaptableModule, FloatArray, Part
from rankscope.models.schedulers.places import is_mlp, language_depth

LEVEL_SD = 10.0
"""Prior sd of the common level mu: no opinion about how much loss the adapters take away."""

LEVEL_DRIFT_SD = 0.5
"""Sd of the level's change between decisions. Adapters come to carry more as they train; without
this, a later look at a few groups would read the common growth as those groups' own merit."""

INTERACTION_SD = 0.25
"""Prior sd of what is special to one type in one layer: small, so that a utility is close to the
product of a layer's and a type's share, which beat the sum (RANK_SPIKE_2.md section 3)."""

NUM_LINEARISATIONS = 8
"""Gauss-Newton rounds per update; the first event's 13 log sums settle to 1e-9 in about five."""


SURPRISE_LIMIT_SDS = 3.0
"""A linear sum further than this many predictive sds off counts as this far: its slope holds only
nearby, and one spike of the loss must not wipe out what was learned."""


class Prior(NamedTuple):
    """What is believed before measuring: sd in natural-log units, ratios of utilities."""

    layer_sd: float
    type_sd: float
    mlp_ratio: float
    depth_ratio: float


class Prediction(NamedTuple):
    """A predicted gain and its standard deviation (nats)."""

    mean: float
    sd: float


@dataclass(frozen=True)
class Observation:
    """One measured sum of utilities: ``value`` = sum of weights * utilities, or its logarithm.

    ``weights_M`` are log(1 + rank) for what is on, or its change for a move.
    """

    weights_M: FloatArray
    value: float
    sd: float
    scale: Literal["linear", "log"]


class PerformanceModel(Protocol):
    """What a scheduler asks of a performance model, whatever is inside."""

    @property
    def utilities(self) -> FloatArray:
        """utilities_M: the present belief about every module's utility."""

    def predict(self, weights_M: FloatArray) -> Prediction:
        """Predict the sum of weights * utilities."""

    def update(self, observations: Sequence[Observation]) -> Self:
        """Learn from measured sums."""


@dataclass(frozen=True)
class BayesianLinearModel:
    """log u[layer, type] = mu + a[layer] + b[type] + c[layer, type], jointly Gaussian.

    Layers and types are those of one part of the model each. Sums of utilities are not linear in
    the parameters, so updates are those of an iterated extended Kalman filter.

    HyDRA's own performance model could not be read (ALGORITHMS.md 1.1); this one is ours. Its form
    follows what was measured: layer and type sums of knock-outs are usable, single modules are not
    (RANK_SPIKE.md section 5), and the product of both beats their sum.

    Source: Bell & Cathey 1993, IEEE Trans. Automatic Control 38(2), for the iterated filter.
    """

    design_MD: FloatArray
    mean_D: FloatArray
    covariance_DD: FloatArray

    @classmethod
    def from_prior(cls, modules: Sequence[AdaptableModule], prior: Prior) -> Self:
        """Before measuring: layers alike up to a depth trend, MLP types ahead by their ratio."""
        layers, types, cells = _effects(modules)
        depth = language_depth(modules)
        mlp_types = {(m.part, m.type) for m in modules if is_mlp(m)}
        layer_means = [_depth_effect(part, layer, depth, prior) for part, layer in layers]
        type_means = [np.log(prior.mlp_ratio) if t in mlp_types else 0.0 for t in types]
        mean_D = np.array([0.0, *layer_means, *type_means, *(0.0 for _ in cells)])
        sd_D = np.repeat(
            [LEVEL_SD, prior.layer_sd, prior.type_sd, INTERACTION_SD],
            [1, len(layers), len(types), len(cells)],
        )
        return cls(_design(modules), mean_D, np.diag(sd_D**2))

    @classmethod
    def from_state(
        cls, modules: Sequence[AdaptableModule], mean: Sequence[float], triangle: Sequence[float]
    ) -> Self:
        """From what ``state`` gave.

        Raises:
            ValueError: If the state belongs to other modules.
        """
        design_MD = _design(modules)
        size = design_MD.shape[1]
        rows, columns = np.tril_indices(size)
        if len(mean) != size or len(triangle) != rows.size:
            raise ValueError(
                f"the performance model of these modules has {size} parameters, the stored one has "
                f"{len(mean)}; resume with the adapters the run began with"
            )
        covariance_DD = np.zeros((size, size))
        covariance_DD[rows, columns] = triangle
        covariance_DD[columns, rows] = triangle
        return cls(design_MD, np.array(mean, dtype=np.float64), covariance_DD)

    def state(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Mean, and covariance as its lower triangle row by row; exact through JSON."""
        triangle = self.covariance_DD[np.tril_indices(self.mean_D.size)]
        return tuple(self.mean_D.tolist()), tuple(triangle.tolist())

    @property
    def utilities(self) -> FloatArray:
        """utilities_M: posterior medians, so that nothing is preferred for being unknown."""
        utilities_M: FloatArray = np.exp(self.design_MD @ self.mean_D)
        return utilities_M

    def predict(self, weights_M: FloatArray) -> Prediction:
        """Sum of weights * utilities; the sd is that of the sum linearised at the mean."""
        mean, slope_D = _linearised(self, weights_M, self.mean_D, "linear")
        variance = float(slope_D @ self.covariance_DD @ slope_D)
        return Prediction(mean, float(np.sqrt(max(0.0, variance))))

    def update(self, observations: Sequence[Observation]) -> Self:
        """Posterior after independent observations.

        Log sums are linearised anew each round. Linear sums, whose exponential slope could carry a
        surprising value away, are linearised once at the old mean.
        """
        if not observations:
            return self
        value_O = np.array([_tempered(self, o) for o in observations])
        noise_OO = np.diag([o.sd**2 for o in observations])
        mean_D = self.mean_D
        for _ in range(NUM_LINEARISATIONS):
            anchors = [mean_D if o.scale == "log" else self.mean_D for o in observations]
            lines = [
                _linearised(self, o.weights_M, anchor_D, o.scale)
                for o, anchor_D in zip(observations, anchors, strict=True)
            ]
            slope_OD = np.array([slope_D for _, slope_D in lines])
            expected_O = np.array(
                [
                    at_anchor + slope_D @ (self.mean_D - anchor_D)
                    for (at_anchor, slope_D), anchor_D in zip(lines, anchors, strict=True)
                ]
            )
            cross_DO = self.covariance_DD @ slope_OD.T
            gain_DO = np.linalg.solve(slope_OD @ cross_DO + noise_OO, cross_DO.T).T
            mean_D = self.mean_D + gain_DO @ (value_O - expected_O)
        covariance_DD = self.covariance_DD - gain_DO @ cross_DO.T
        return replace(self, mean_D=mean_D, covariance_DD=(covariance_DD + covariance_DD.T) / 2)

    def forget(self, kept_precision: float) -> Self:
        """Let the past count less: all precision times ``kept_precision``, and the level drifts."""
        covariance_DD = self.covariance_DD / kept_precision
        covariance_DD[0, 0] += LEVEL_DRIFT_SD**2
        return replace(self, covariance_DD=covariance_DD)

    def most_telling(
        self, candidates: Mapping[str, Observation], weights_M: FloatArray, count: int
    ) -> tuple[str, ...]:
        """The candidates that would most reduce the variance of ``predict(weights_M)``.

        Chosen one after another, each given the earlier ones; what they will say is not needed for
        that. Ties go to the earlier candidate.
        """
        chosen: list[str] = []
        model = self
        while len(chosen) < min(count, len(candidates)):
            _, wanted_D = _linearised(model, weights_M, model.mean_D, "linear")
            scores = {}
            for name, candidate in candidates.items():
                if name in chosen:
                    continue
                _, slope_D = _linearised(model, candidate.weights_M, model.mean_D, "log")
                spread_D = model.covariance_DD @ slope_D
                noise = slope_D @ spread_D + candidate.sd**2
                scores[name] = float((wanted_D @ spread_D) ** 2 / noise)
            best = max(scores, key=lambda name: scores[name])
            expected, _ = _linearised(model, candidates[best].weights_M, model.mean_D, "log")
            model = model.update([replace(candidates[best], value=expected)])
            chosen.append(best)
        return tuple(chosen)


def layer_uncertainty(
    model: BayesianLinearModel, modules: Sequence[AdaptableModule], prior: Prior
) -> dict[tuple[Part, int], float]:
    """Per layer, the share (0 to 1) of its effect's prior variance that is still left.

    Of each effect relative to the mean of all layers: their common part cannot be told from the
    level, and does not matter for how layers share a budget.
    """
    layers, _, _ = _effects(modules)
    num = len(layers)
    centring = np.eye(num) - 1 / num
    block = model.covariance_DD[1 : 1 + num, 1 : 1 + num]
    left = np.diag(centring @ block @ centring)
    before = prior.layer_sd**2 * np.diag(centring)
    share = np.divide(left, before, out=np.zeros(num), where=before > 0)
    return {layer: float(s) for layer, s in zip(layers, np.clip(share, 0, 1), strict=True)}


def _effects(
    modules: Sequence[AdaptableModule],
) -> tuple[list[tuple[Part, int]], list[tuple[Part, str]], list[tuple[Part, int, str]]]:
    """The layers, types and layer-type cells present, each in order of first appearance."""
    return (
        list(dict.fromkeys((m.part, m.layer) for m in modules)),
        list(dict.fromkeys((m.part, m.type) for m in modules)),
        list(dict.fromkeys((m.part, m.layer, m.type) for m in modules)),
    )


def _design(modules: Sequence[AdaptableModule]) -> FloatArray:
    """design_MD: a row of ones and zeros per module: level, its layer, its type, its cell."""
    layers, types, cells = _effects(modules)
    rows = np.arange(len(modules))
    design_MD = np.zeros((len(modules), 1 + len(layers) + len(types) + len(cells)))
    design_MD[:, 0] = 1
    design_MD[rows, [1 + layers.index((m.part, m.layer)) for m in modules]] = 1
    first_type = 1 + len(layers)
    design_MD[rows, [first_type + types.index((m.part, m.type)) for m in modules]] = 1
    first_cell = first_type + len(types)
    design_MD[rows, [first_cell + cells.index((m.part, m.layer, m.type)) for m in modules]] = 1
    return design_MD


def _depth_effect(part: Part, layer: int, depth: int, prior: Prior) -> float:
    """Prior mean of a layer's effect: a straight line in log utility over the language model."""
    if part != "language" or depth < 2:
        return 0.0
    return float(np.log(prior.depth_ratio) * (layer / (depth - 1) - 0.5))


def _tempered(model: BayesianLinearModel, observation: Observation) -> float:
    """The observed value, for a linear sum held within ``SURPRISE_LIMIT_SDS`` of its prediction."""
    if observation.scale == "log":
        return observation.value
    expected = model.predict(observation.weights_M)
    reach = SURPRISE_LIMIT_SDS * float(np.hypot(expected.sd, observation.sd))
    return float(np.clip(observation.value, expected.mean - reach, expected.mean + reach))


def _linearised(
    model: BayesianLinearModel,
    weights_M: FloatArray,
    at_D: FloatArray,
    scale: Literal["linear", "log"],
) -> tuple[float, FloatArray]:
    """The (log) sum of weights * utilities at parameters ``at_D``, and its slope there."""
    parts_M = weights_M * np.exp(model.design_MD @ at_D)
    total = float(parts_M.sum())
    if scale == "linear":
        return total, parts_M @ model.design_MD
    return float(np.log(total)), (parts_M / total) @ model.design_MD
