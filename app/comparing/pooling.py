"""Runs of one configuration as one: curves as mean and range over seeds, rank maps as a mean."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from rankscope.models.inventory import AdaptableModule
from rankscope.storage.compared_runs import CurvePoint, RankMap


class PooledPoint(NamedTuple):
    """One step of one curve: mean, smallest and largest of the runs that have come so far."""

    step: int
    mean: float
    low: float
    high: float
    num_runs: int


def pooled_curves(
    points: Iterable[CurvePoint], curve_of: Mapping[str, str], last_steps: Mapping[str, int]
) -> dict[str, list[PooledPoint]]:
    """Average the runs of each curve step by step.

    Args:
        points: Of any number of runs; runs of one curve share their steps.
        curve_of: Run -> name of its curve; a curve of one run is the run itself.
        last_steps: Run -> its number of steps; a window may end after it.

    Returns:
        Per name, in the order of ``curve_of``, the points by rising step.
    """
    values: dict[str, dict[int, list[float]]] = {
        name: defaultdict(list) for name in curve_of.values()
    }
    for point in points:
        step = min(point.step, last_steps[point.run_id])
        values[curve_of[point.run_id]][step].append(point.value)
    return {
        name: [
            PooledPoint(step, float(np.mean(some)), min(some), max(some), len(some))
            for step, some in sorted(by_step.items())
        ]
        for name, by_step in values.items()
    }


class PooledMap(NamedTuple):
    """Mean ranks of the runs that have any; ``ranks_M`` in the order of ``modules``."""

    modules: tuple[AdaptableModule, ...]
    ranks_M: list[float]
    num_runs: int


def pooled_map(maps: Sequence[RankMap]) -> PooledMap | None:
    """The mean over runs of one configuration; None without any, or of unlike modules."""
    if not maps or any(one.modules != maps[0].modules for one in maps):
        return None
    means_M = np.mean([one.ranks_M for one in maps], axis=0)
    return PooledMap(maps[0].modules, means_M.tolist(), len(maps))


def minus(ours: PooledMap, theirs: PooledMap) -> list[float] | None:
    """Rank differences module by module; None between different modules."""
    if ours.modules != theirs.modules:
        return None
    changes_M = np.asarray(ours.ranks_M) - np.asarray(theirs.ranks_M)
    return [float(change) for change in changes_M]
