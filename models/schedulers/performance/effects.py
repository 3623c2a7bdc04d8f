"""Log utilities as sums of effects: level, part, layer, type, and what is special to a cell.

log u = mu + part + layer + type + cell, where layers and types are those of one part each, and a
cell is one type in one layer.

Shape letters: M modules, D effects.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from rankscope.models.inventory import AdaptableModule, FloatArray, Part
from rankscope.models.schedulers.places import is_mlp, language_depth

LEVEL_SD = 10.0
"""Prior sd of the common level mu: no opinion about how much loss the adapters take away."""

INTERACTION_SD = 0.25
"""Prior sd of what is special to one type in one layer: small, so that a utility is close to the
product of a layer's and a type's share, which beat the sum (RANK_SPIKE_2.md section 3)."""

PART_SD = 1.5
"""Prior sd of a part's effect: on one task adapters in the vision tower are worth nothing, on
another most of all."""

EffectKind = Literal["level", "part", "layer", "type", "cell"]


class Effect(NamedTuple):
    """One term of a log utility; what does not matter to its kind is None."""

    kind: EffectKind
    part: Part | None = None
    layer: int | None = None
    type: str | None = None

    @property
    def name(self) -> str:
        """For instance ``type vision.fc1``: layers and types are called as their knock-outs are."""
        place = ".".join(str(x) for x in (self.part, self.layer, self.type) if x is not None)
        return f"{self.kind} {place}".rstrip()


class Prior(NamedTuple):
    """What is believed before measuring: sd in natural-log units, ratios of worth per parameter."""

    layer_sd: float
    type_sd: float
    mlp_ratio: float
    depth_ratio: float
    part_sd: float = PART_SD


@dataclass(frozen=True)
class EffectPrior:
    """Jointly Gaussian effects of some modules, before the run has measured anything."""

    modules: tuple[AdaptableModule, ...]
    design_MD: FloatArray
    mean_D: FloatArray
    covariance_DD: FloatArray

    @classmethod
    def believed(cls, modules: Sequence[AdaptableModule], prior: Prior) -> "EffectPrior":
        """By hand: worth in proportion to cost, layers alike up to a trend, MLPs ahead."""
        effects = effects_of(modules)
        depth = language_depth(modules)
        mlp_types = {(m.part, m.type) for m in modules if is_mlp(m)}
        log_cost_M = np.log([m.cost for m in modules])
        mean_D = np.zeros(len(effects))
        for column, effect in enumerate(effects):
            if effect.kind == "layer":
                mean_D[column] = _depth_effect(effect, depth, prior)
            elif effect.kind == "type" and (effect.part, effect.type) in mlp_types:
                mean_D[column] = np.log(prior.mlp_ratio)
        sds: dict[EffectKind, float] = {
            "level": LEVEL_SD,
            "part": prior.part_sd,
            "layer": prior.layer_sd,
            "type": prior.type_sd,
            "cell": INTERACTION_SD,
        }
        variance_D = np.array([sds[effect.kind] ** 2 for effect in effects])
        design_MD = design_of(modules)
        cells = [column for column, effect in enumerate(effects) if effect.kind == "cell"]
        inside_MC = design_MD[:, cells]
        # Utility in proportion to cost: of all else equal the best ranks are then uniform ones.
        mean_D[cells] = inside_MC.T @ (log_cost_M - log_cost_M.max()) / inside_MC.sum(axis=0)
        return cls(tuple(modules), design_MD, mean_D, np.diag(variance_D))

    @property
    def log_utilities(self) -> FloatArray:
        """Prior means, per module."""
        return self.design_MD @ self.mean_D

    @property
    def sds(self) -> FloatArray:
        """Prior sds of log utilities per module, the common level left out."""
        free_DD = self.covariance_DD.copy()
        free_DD[0, :] = free_DD[:, 0] = 0.0
        variance_M = np.einsum("md,de,me->m", self.design_MD, free_DD, self.design_MD)
        sds_M: FloatArray = np.sqrt(np.maximum(variance_M, 0.0))
        return sds_M


def effects_of(modules: Sequence[AdaptableModule]) -> tuple[Effect, ...]:
    """The effects present: the level, then parts, layers, types, cells, as they first appear."""
    parts = dict.fromkeys(Effect("part", m.part) for m in modules)
    layers = dict.fromkeys(Effect("layer", m.part, m.layer) for m in modules)
    types = dict.fromkeys(Effect("type", m.part, type=m.type) for m in modules)
    cells = dict.fromkeys(Effect("cell", m.part, m.layer, m.type) for m in modules)
    return (Effect("level"), *parts, *layers, *types, *cells)


def design_of(modules: Sequence[AdaptableModule]) -> FloatArray:
    """design_MD: a row of ones and zeros per module, columns as in ``effects_of``."""
    column = {effect: place for place, effect in enumerate(effects_of(modules))}
    design_MD = np.zeros((len(modules), len(column)))
    for row, m in enumerate(modules):
        for effect in (
            Effect("level"),
            Effect("part", m.part),
            Effect("layer", m.part, m.layer),
            Effect("type", m.part, type=m.type),
            Effect("cell", m.part, m.layer, m.type),
        ):
            design_MD[row, column[effect]] = 1
    return design_MD


def relative_depths(modules: Sequence[AdaptableModule]) -> FloatArray:
    """Per module its layer over its part's last one: 0 nearest the input to 1."""
    last: dict[Part, int] = {}
    for m in modules:
        last[m.part] = max(last.get(m.part, 0), m.layer)
    return np.array([m.layer / max(last[m.part], 1) for m in modules])


def group_contrasts(modules: Sequence[AdaptableModule]) -> dict[str, FloatArray]:
    """Per part, layer and type weights_M of the mean over its modules less that over all."""
    effects, design_MD = effects_of(modules), design_of(modules)
    return {
        effect.name: inside_M / inside_M.sum() - 1 / len(modules)
        for effect, inside_M in zip(effects, design_MD.T, strict=True)
        if effect.kind in ("part", "layer", "type")
    }


def _depth_effect(effect: Effect, depth: int, prior: Prior) -> float:
    """Prior mean of a layer's effect: a straight line in log utility over the language model."""
    if effect.part != "language" or depth < 2 or effect.layer is None:
        return 0.0
    return float(np.log(prior.depth_ratio) * (effect.layer / (depth - 1) - 0.5))
