"""The result of a preset that compares arms: one JSON object and its table."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.science.protocol import Protocol
from benchmarks.science.records import Record
from benchmarks.science.statistics import Bootstrap, Estimate, TaskScores, holm

BASELINE = "uniform"
CHALLENGER = "hydra"


def compared(
    protocol: Protocol,
    records: Sequence[Record],
    pictures: Mapping[str, npt.NDArray[np.int64]],
) -> dict[str, Any]:
    """The arms' figures, per task and over all.

    Args:
        protocol: The protocol.
        records: Runs that all ended, the same seeds and budgets for every arm.
        pictures: By task, which picture each test item asks about.
    """
    tasks = list(dict.fromkeys(record.cell.task for record in records))
    arms = list(dict.fromkeys(record.cell.arm for record in records))
    scores = {task: scores_of(records, task, arms, pictures[task]) for task in tasks}
    whole = Bootstrap(arms, scores)
    wider = Bootstrap(arms, scores, are_tasks_drawn=True)
    return {
        "tasks": {
            task: _task_figures(records, task, arms, Bootstrap(arms, {task: scores[task]}))
            for task in tasks
        },
        "arms": {arm: _arm_figures(protocol, arm, arms, whole, wider) for arm in arms},
    }


def scores_of(
    records: Sequence[Record], task: str, arms: Sequence[str], pictures_I: npt.NDArray[np.int64]
) -> TaskScores:
    """Right answers per arm, seed and item, averaged over budgets and draws.

    Raises:
        ValueError: Arms did not run with the same seeds and budgets.
    """
    mine = [record for record in records if record.cell.task == task]
    seeds = sorted({record.cell.seed for record in mine})
    budgets = sorted({record.cell.budget for record in mine})
    correct_ASI = []
    for arm in arms:
        by_seed = []
        for seed in seeds:
            cells = [r for r in mine if (r.cell.arm, r.cell.seed) == (arm, seed)]
            if sorted({r.cell.budget for r in cells}) != budgets:
                raise ValueError(
                    f"every arm must have run at every seed and budget, {arm} on {task} with seed "
                    f"{seed} did not; run the preset to its end"
                )
            by_budget = [
                np.mean([_bits(r) for r in cells if r.cell.budget == budget], axis=0)
                for budget in budgets
            ]
            by_seed.append(np.mean(by_budget, axis=0))
        correct_ASI.append(by_seed)
    correct = np.asarray(correct_ASI, dtype=np.float64)
    return TaskScores(correct, pictures_I[: correct.shape[-1]])


def _bits(record: Record) -> npt.NDArray[np.float64]:
    assert record.correct_N is not None
    return record.correct_N.astype(np.float64)


def table_of(answer: Mapping[str, Any]) -> str:
    """Figures as Markdown; accuracies in percent, differences in points."""
    tasks = list(answer["tasks"])
    head = ["arm", *tasks, "mean", "gain over uniform", "hydra less this arm", "p (Holm)"]
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    hydra = answer["arms"].get(CHALLENGER, {})
    for arm, figures in answer["arms"].items():
        by_task = [_percent(answer["tasks"][task][arm]) for task in tasks]
        gain = "–" if arm == BASELINE else _relative(figures)
        key = figures["key"]
        against, p = "–", "–"
        if f"vs_{key}" in hydra:
            against = _points(hydra[f"vs_{key}"], hydra[f"vs_{key}_ci95"])
        if f"vs_{key}_p_holm" in hydra:
            p = f"{hydra[f'vs_{key}_p_holm']:.3g}"
        accuracy = f"{100 * figures['accuracy']:.1f}"
        lines.append(f"| {' | '.join([arm, *by_task, accuracy, gain, against, p])} |")
    return "\n".join(lines)


def _arm_figures(
    protocol: Protocol, arm: str, arms: Sequence[str], whole: Bootstrap, wider: Bootstrap
) -> dict[str, Any]:
    accuracy = whole.accuracy(arm)
    figures: dict[str, Any] = {
        "key": protocol.key(arm),
        "accuracy": accuracy.value,
        "accuracy_ci95": _interval(accuracy),
    }
    if BASELINE in arms and arm != BASELINE:
        gain = whole.relative_gain(arm, BASELINE)
        figures |= {
            "relative_gain_vs_uniform": gain.value,
            "ci95": _interval(gain),
            "p": gain.p,
            "ci95_tasks_drawn": _interval(wider.relative_gain(arm, BASELINE)),
        }
    for others, is_corrected in _opponents(protocol, arm, arms):
        found = {protocol.key(other): whole.difference(arm, other) for other in others}
        wide = {protocol.key(other): wider.difference(arm, other) for other in others}
        corrected = holm({key: one.p for key, one in found.items()})
        for key, one in found.items():
            figures |= {
                f"vs_{key}": one.value,
                f"vs_{key}_ci95": _interval(one),
                f"vs_{key}_ci95_tasks_drawn": _interval(wide[key]),
                f"vs_{key}_p": one.p,
            }
            if is_corrected:
                figures[f"vs_{key}_p_holm"] = corrected[key]
    return figures


def _opponents(protocol: Protocol, arm: str, arms: Sequence[str]) -> list[tuple[list[str], bool]]:
    """Whom an arm is compared with, and whether p-values are corrected for their number.

    The challenger, and the challenger made to pay for its decisions, meet every rival; variants of
    rivals stand outside the correction, and any other arm meets what it is a variant of.
    """
    rule = protocol.arms[arm]
    rivals = [other for other in arms if protocol.arms[other].like is None and other != CHALLENGER]
    if CHALLENGER in (arm, rule.less_cost_of):
        paid = [other for other in arms if protocol.arms[other].plus_cost_of == CHALLENGER]
        return [(rivals, True), (paid, False)]
    base = rule.like or BASELINE
    return [([base] if base in arms and base != arm else [], False)]


def _task_figures(
    records: Sequence[Record],
    task: str,
    arms: Sequence[str],
    bootstrap: Bootstrap,
) -> dict[str, Any]:
    found = {}
    for arm in arms:
        mine = [r for r in records if (r.cell.task, r.cell.arm) == (task, arm)]
        accuracy = bootstrap.accuracy(arm)
        figures: dict[str, Any] = {
            "accuracy": accuracy.value,
            "ci95": _interval(accuracy),
            "by_budget": {
                f"{budget:g}": float(np.mean([r.accuracy for r in mine if r.cell.budget == budget]))
                for budget in sorted({r.cell.budget for r in mine})
            },
            "lr": mine[0].lr,
            "steps": mine[0].steps,
            "seeds": len({r.cell.seed for r in mine}),
            "max_live_share": max(r.max_live_params / r.budget_params for r in mine),
            "measurement_s": float(np.mean([r.measurement_s for r in mine])),
            "steering_s": float(np.mean([r.steering_s for r in mine])),
            "train_s": float(np.mean([r.train_s for r in mine])),
        }
        if BASELINE in arms and arm != BASELINE:
            difference = bootstrap.difference(arm, BASELINE)
            figures |= {"vs_uniform": difference.value, "vs_uniform_ci95": _interval(difference)}
        found[arm] = figures
    return found


def _interval(estimate: Estimate) -> list[float]:
    return [estimate.low, estimate.high]


def _percent(figures: Mapping[str, Any]) -> str:
    half = (figures["ci95"][1] - figures["ci95"][0]) / 2
    return f"{100 * figures['accuracy']:.1f} ± {100 * half:.1f}"


def _relative(figures: Mapping[str, Any]) -> str:
    low, high = (100 * bound for bound in figures["ci95"])
    return f"{100 * figures['relative_gain_vs_uniform']:+.1f} % [{low:+.1f}, {high:+.1f}]"


def _points(value: float, interval: Sequence[float]) -> str:
    return f"{100 * value:+.1f} [{100 * interval[0]:+.1f}, {100 * interval[1]:+.1f}]"
