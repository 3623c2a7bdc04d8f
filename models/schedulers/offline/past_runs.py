"""Past runs as material to learn from, and which of them can be compared.

Losses compare within a group: runs of equal settings in all but the ranks and the seed. A group of
one allocation teaches nothing about ranks.

Shape letters: I runs, M modules.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from rankscope.models.inventory import AdaptableModule, FloatArray, IntArray
from rankscope.models.schedulers.offline.model import StaticRule

SIGNIFICANT_LOG_RANK = 1e-3
"""Allocations that differ by less in every mean log(1 + rank) are taken as one."""


@dataclass(frozen=True)
class PastRun:
    """A run that is done, with its ranks over time in one number per module.

    Args:
        id: The run's.
        family: The task's; what is learned is never used on the family it comes from.
        task: The data and its settings.
        group: All settings that must be equal for losses to compare, the task's and the budget's
            among them.
        seed: The run's.
        rule: The static rule that its ranks follow, if they follow one.
        log_ranks: Per module, the mean over the steps of log(1 + rank).
        loss: On validation after training (nats per item, above 0).
        num_items: Validation items that it was measured on.
        train_s: Seconds of its optimizer steps.
    """

    id: str
    family: str
    task: str
    group: str
    seed: int
    rule: StaticRule | None
    log_ranks: Mapping[str, float]
    loss: float
    num_items: int
    train_s: float


@dataclass(frozen=True)
class FamilyRuns:
    """One family's comparable runs as arrays, in an order that does not depend on how they came.

    Args:
        family: Its name.
        runs: In the order of I.
        log_ranks_IM: As in ``PastRun``.
        log_loss_I: Natural logarithm of the validation loss.
        task_I: Number of each run's task.
        group_I: Number of each run's group.
        cell_I: Number of each run's group and seed.
        allocation_I: Number of each run's allocation; equal ones share it across groups.
    """

    family: str
    runs: tuple[PastRun, ...]
    log_ranks_IM: FloatArray
    log_loss_I: FloatArray
    task_I: IntArray
    group_I: IntArray
    cell_I: IntArray
    allocation_I: IntArray

    def centred(self, values_I: FloatArray) -> FloatArray:
        """Values less the mean of what they compare with: the same seed's runs, else the group's.

        Runs of one seed share their data order and their adapters' first values.
        """
        has_pair_I = np.bincount(self.cell_I)[self.cell_I] > 1
        by_group_I = values_I - _means(values_I, self.group_I)
        return np.where(has_pair_I, values_I - _means(values_I, self.cell_I), by_group_I)


LeftOut = Literal["nothing to compare with: its group has one allocation", "no finite loss above 0"]


def comparable(
    runs: Sequence[PastRun], modules: Sequence[AdaptableModule]
) -> tuple[list[FamilyRuns], dict[str, LeftOut]]:
    """Families by name with the runs that can teach something, and why the others cannot."""
    left_out: dict[str, LeftOut] = {}
    sound = []
    for run in sorted(runs, key=lambda run: run.id):
        if np.isfinite(run.loss) and run.loss > 0:
            sound.append(run)
        else:
            left_out[run.id] = "no finite loss above 0"
    names = [m.name for m in modules]
    log_ranks_IM = np.array([[run.log_ranks.get(name, 0.0) for name in names] for run in sound])
    allocation_I = _allocations(log_ranks_IM.reshape(len(sound), len(names)))
    allocations: dict[str, set[int]] = {}
    for run, allocation in zip(sound, allocation_I.tolist(), strict=True):
        allocations.setdefault(run.group, set()).add(allocation)
    rows_of: dict[str, list[int]] = {}
    for row, run in enumerate(sound):
        if len(allocations[run.group]) > 1:
            rows_of.setdefault(run.family, []).append(row)
        else:
            left_out[run.id] = "nothing to compare with: its group has one allocation"
    families = [
        _family(family, [sound[row] for row in rows], log_ranks_IM[rows], allocation_I[rows])
        for family, rows in sorted(rows_of.items())
    ]
    return families, left_out


def _family(
    family: str, runs: list[PastRun], log_ranks_IM: FloatArray, allocation_I: IntArray
) -> FamilyRuns:
    return FamilyRuns(
        family=family,
        runs=tuple(runs),
        log_ranks_IM=log_ranks_IM,
        log_loss_I=np.log([run.loss for run in runs]),
        task_I=_numbered([run.task for run in runs]),
        group_I=_numbered([run.group for run in runs]),
        cell_I=_numbered([(run.group, run.seed) for run in runs]),
        allocation_I=allocation_I,
    )


def _allocations(log_ranks_IM: FloatArray) -> IntArray:
    rounded_IM = np.round(log_ranks_IM / SIGNIFICANT_LOG_RANK).astype(np.int64)
    return _numbered([row.tobytes() for row in rounded_IM])


def _numbered(keys: Sequence[object]) -> IntArray:
    """0, 1, ... by first appearance."""
    numbers = {key: number for number, key in enumerate(dict.fromkeys(keys))}
    return np.array([numbers[key] for key in keys], dtype=np.int64)


def _means(values_I: FloatArray, labels_I: npt.NDArray[np.int64]) -> FloatArray:
    """Each value's label's mean."""
    sums = np.bincount(labels_I, weights=values_I)
    means_I: FloatArray = (sums / np.maximum(np.bincount(labels_I), 1))[labels_I]
    return means_I
