"""How far effects differ between families of tasks, by kind, and how smooth they are over depth.

Shape letters: E effects without the level.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from rankscope.models.inventory import AdaptableModule, FloatArray, IntArray
from rankscope.models.schedulers.performance.effects import (
    INTERACTION_SD,
    PART_SD,
    effects_of,
)

DEPTH_LENGTH = 0.3
"""Length scale in relative depth over which layers go together, as in the Gaussian process."""

DEPTH_NUGGET = 0.1
"""Share of a layer's variance that is its own."""


class Scales(NamedTuple):
    """Standard deviations by kind of effect (natural-log units)."""

    part: float
    layer: float
    type: float
    cell: float


UNKNOWN = Scales(part=PART_SD, layer=1.5, type=1.0, cell=INTERACTION_SD)
"""Of the mean over families before any run is seen: as wide as a run that measures by itself
takes them."""

BETWEEN_FAMILIES = Scales(part=1.0, layer=0.5, type=0.5, cell=0.1)
"""First guess of how far one family is from the mean of all. It counts as one more family when that
is estimated: with three or four there is no estimate to speak of without."""


@dataclass(frozen=True)
class Block:
    """Effects of one kind (layers: of one part), with their correlations at equal variance."""

    kind: str
    rows: IntArray
    correlation: FloatArray
    inverse: FloatArray


def blocks_of(modules: Sequence[AdaptableModule]) -> tuple[Block, ...]:
    """All effects but the level, which is not among the rows, in blocks."""
    effects = effects_of(modules)[1:]
    rows: dict[tuple[str, str | None], list[int]] = {}
    for row, effect in enumerate(effects):
        part = effect.part if effect.kind == "layer" else None
        rows.setdefault((effect.kind, part), []).append(row)
    blocks = []
    for (kind, _), places in rows.items():
        correlation = np.eye(len(places))
        if kind == "layer":
            layers = np.array([float(effects[row].layer or 0) for row in places])
            depths = layers / max(layers.max(), 1.0)
            smooth = np.exp(-(np.subtract.outer(depths, depths) ** 2) / (2 * DEPTH_LENGTH**2))
            correlation = (1 - DEPTH_NUGGET) * smooth + DEPTH_NUGGET * correlation
        inverse: FloatArray = np.linalg.inv(correlation).astype(np.float64)
        blocks.append(Block(kind, np.array(places, dtype=np.int64), correlation, inverse))
    return tuple(blocks)


def covariance(blocks: Sequence[Block], scales: Scales) -> FloatArray:
    """covariance_EE of effects with the given sds."""
    size = sum(block.rows.size for block in blocks)
    covariance_EE = np.zeros((size, size))
    for block in blocks:
        variance = scales._asdict()[block.kind] ** 2
        covariance_EE[np.ix_(block.rows, block.rows)] = variance * block.correlation
    return covariance_EE


def re_estimated(
    blocks: Sequence[Block], deviations: Sequence[tuple[FloatArray, FloatArray]]
) -> Scales:
    """Scales from families' deviations from the mean, with the first guess as one more family.

    Args:
        blocks: Of the effects.
        deviations: Per family the expected deviation_E and its covariance_EE.
    """
    sums, counts = dict.fromkeys(Scales._fields, 0.0), dict.fromkeys(Scales._fields, 0.0)
    for block in blocks:
        size = block.rows.size
        guess = BETWEEN_FAMILIES._asdict()[block.kind] ** 2
        total = size * guess
        for deviation_E, covariance_EE in deviations:
            own = deviation_E[block.rows]
            inside = covariance_EE[np.ix_(block.rows, block.rows)]
            total += float(own @ block.inverse @ own + np.sum(block.inverse * inside))
        sums[block.kind] += total
        counts[block.kind] += size * (1 + len(deviations))
    return Scales(**{kind: (sums[kind] / max(counts[kind], 1.0)) ** 0.5 for kind in sums})
