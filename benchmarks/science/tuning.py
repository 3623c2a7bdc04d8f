"""The trials of every arm on validation, and which of them wins."""

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby

import numpy as np

from benchmarks.science.protocol import Cell, Protocol
from benchmarks.science.records import Record
from benchmarks.science.winners import Place, Winner


def tuning_cells(protocol: Protocol, tasks: Sequence[str], arms: Sequence[str]) -> list[Cell]:
    """Every trial of every arm that has trials of its own, seed by seed."""
    own = list(dict.fromkeys(protocol.tuned_arm(arm) for arm in arms))
    return [
        Cell(task, arm, budget, seed, "validation", trial)
        for seed in protocol.tuning.seeds
        for budget in protocol.tuning.budgets
        for task in tasks
        for arm in own
        for trial in range(len(protocol.trials(arm)))
    ]


def choose(protocol: Protocol, records: Iterable[Record]) -> dict[Place, Winner]:
    """Per arm, task and budget, the trial of least mean validation loss; ties to the lower rate.

    A trial of which any seed failed cannot win.
    """
    ordered = sorted(records, key=lambda record: place_of(record.cell))
    return {
        place: _best(protocol, list(group))
        for place, group in groupby(ordered, key=lambda record: place_of(record.cell))
    }


def place_of(cell: Cell) -> Place:
    """What a cell's trial is tried for."""
    return Place(cell.arm, cell.task, cell.budget)


def _best(protocol: Protocol, records: Sequence[Record]) -> Winner:
    by_trial: dict[int, list[Record]] = {}
    for record in records:
        assert record.cell.trial is not None
        by_trial.setdefault(record.cell.trial, []).append(record)
    best = min(by_trial, key=lambda trial: (mean_loss(by_trial[trial]), by_trial[trial][0].lr))
    cell, loss = records[0].cell, mean_loss(by_trial[best])
    if math.isinf(loss):
        raise RuntimeError(
            f"at least one trial must end, none of {cell.arm} on {cell.task} at budget "
            f"{cell.budget:g} did ({records[0].run}: {records[0].reason}); mend it and tune again"
        )
    # Decisions cost the same whatever the rate, so all trials tell.
    costs = [record.steering_steps for record in records if record.status == "done"]
    return Winner(
        trial=protocol.trials(cell.arm)[best],
        loss=round(loss, 6),
        accuracy=round(float(np.mean([r.accuracy for r in by_trial[best]])), 6),
        steering_steps=round(float(np.mean(costs)), 3),
        tuned_under=protocol.tuned_under(cell.task, cell.arm),
    )


def mean_loss(records: Sequence[Record]) -> float:
    """Over seeds; infinite where a run failed."""
    losses = [record.loss for record in records]
    return math.inf if None in losses else float(np.mean([x for x in losses if x is not None]))


def table_of(records: Iterable[Record], chosen: Mapping[Place, Winner]) -> str:
    """Validation loss and accuracy of every trial as Markdown, the winners bold."""
    lines = ["| task | rank | arm | trial | loss | accuracy | steps its decisions cost |"]
    lines += ["|---|---|---|---|---|---|---|"]
    by_trial: dict[tuple[str, float, str, int], list[Record]] = {}
    for record in records:
        cell = record.cell
        assert cell.trial is not None
        place = cell.task, cell.budget, cell.arm, cell.trial
        by_trial.setdefault(place, []).append(record)
    for (task, budget, arm, trial), group in sorted(by_trial.items()):
        winner = chosen[Place(arm, task, budget)]
        loss = mean_loss(group)
        accuracy = np.mean([100 * record.accuracy for record in group if record.accuracy] or [0.0])
        cost = np.mean([record.steering_steps for record in group])
        mark = "**" if round(loss, 6) == winner.loss else ""
        lines.append(
            f"| {task} | {budget:g} | {arm} | {trial} (lr {group[0].lr:g}) "
            f"| {mark}{loss:.4f}{mark} | {accuracy:.1f} | {cost:.1f} |"
        )
    return "\n".join(lines)
