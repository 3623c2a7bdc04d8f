"""Which groups of modules are switched off in turn, and what their loss says about utilities.

Shape letters: M modules.
"""

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np

from rankscope.models.inventory import FloatArray
from rankscope.models.schedulers.contract import KnockOutResult, ModuleState
from rankscope.models.schedulers.performance.contract import Observation

RISE_FLOOR_NATS = 1e-3
"""A group that does not help counts as this much, so that logarithms exist: KN's floor
(RANK_SPIKE_2.md section 6)."""

SHARE_FLOOR = 0.02
"""Every group counts as if it had this much more of all layers' (types') rise: KN's other floor,
and what keeps a group's relative error finite when its rise is lost in noise."""

SURE_SES = 2.0
"""A rise above this many standard errors (about 95 %) is a signal."""


GroupKind = Literal["part", "layer", "type"]


class Group(NamedTuple):
    """Modules switched off together: a part, a layer, or a type throughout one part."""

    kind: GroupKind
    modules: tuple[str, ...]


def groups_of(modules: Sequence[ModuleState]) -> dict[str, Group]:
    """Every part, layer and type, leaving out modules of rank 0 and empty groups.

    A module of rank 0 cannot be switched off. A part's only type is left out too: its layers
    already say all about it; and so is the only part.
    """
    parts: dict[str, list[str]] = {}
    layers: dict[str, list[str]] = {}
    types: dict[str, list[str]] = {}
    several = len({m.part for m in modules}) > 1
    for module in modules:
        same_part = {m.type for m in modules if m.part == module.part}
        if module.rank > 0:
            if several:
                parts.setdefault(f"part {module.part}", []).append(module.name)
            layers.setdefault(f"layer {module.part}.{module.layer}", []).append(module.name)
            if len(same_part) > 1:
                types.setdefault(f"type {module.part}.{module.type}", []).append(module.name)
    found: dict[GroupKind, dict[str, list[str]]] = {"part": parts, "layer": layers, "type": types}
    return {
        name: Group(kind, tuple(names))
        for kind, groups in found.items()
        for name, names in groups.items()
    }


def group_weights(
    group: Group, modules: Sequence[ModuleState], visibility: Mapping[str, float]
) -> FloatArray:
    """weights_M of the group's summed utility: visibility * log(1 + rank) inside, 0 outside.

    ``visibility`` is how much of a module's worth its knock-out shows; below 1 for modules that a
    smaller learning rate has held back.
    """
    inside = frozenset(group.modules)
    return np.array(
        [visibility[m.name] * np.log1p(m.rank) if m.name in inside else 0.0 for m in modules]
    )


def not_usable(result: KnockOutResult) -> str | None:
    """Why nothing can be learned from a result, or None."""
    if not np.isfinite(result.loss):
        return f"the probe loss is {result.loss}"
    for name in sorted(result.rise):
        if not np.isfinite(result.rise[name]) or not np.isfinite(result.rise_se.get(name, np.nan)):
            return f"the knock-out of {name} gave {result.rise[name]}"
    return None


def is_flat(result: KnockOutResult) -> bool:
    """Whether no group's knock-out clearly raises the loss."""
    return not any(
        rise > max(RISE_FLOOR_NATS, SURE_SES * result.rise_se[name])
        for name, rise in result.rise.items()
    )


def observations_of(
    result: KnockOutResult,
    groups: Mapping[str, Group],
    known_rises: Mapping[str, float],
    weights: Mapping[str, FloatArray],
    log_sd: float,
) -> list[Observation]:
    """Log rises with their standard errors, by the delta method, and a common ``log_sd`` on top.

    Args:
        result: What was measured now.
        groups: The groups of the run by name; measured names that are not among them are ignored.
        known_rises: The latest rise of every group ever measured, from which shares are taken.
        weights: weights_M per group.
        log_sd: What a knock-out misses whatever the number of items: effects do not add up, and
            one seed's differ from another's.
    """
    totals = {
        kind: sum(
            max(rise, RISE_FLOOR_NATS)
            for name, rise in known_rises.items()
            if name.startswith(f"{kind} ")
        )
        for kind in ("part", "layer", "type")
    }
    observations = []
    for name, group in groups.items():
        if name not in result.rise:
            continue
        rise = max(result.rise[name], RISE_FLOOR_NATS) + SHARE_FLOOR * totals[group.kind]
        sd = float(np.hypot(result.rise_se[name] / rise, log_sd))
        observations.append(Observation(weights[name], float(np.log(rise)), sd, "log"))
    return observations
