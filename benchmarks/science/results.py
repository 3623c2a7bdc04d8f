"""The figures of a preset that compares arms, per task and over all."""

import math
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.science.protocol import Protocol
from benchmarks.science.records import Record
from benchmarks.science.statistics import Bootstrap, Estimate, TaskScores, holm
from rankscope.models.schedulers.offline.ranking import spearman

BASELINE = "uniform"
CHALLENGER = "hydra"
AIMED_OVERHEAD = 0.1
"""Of training time: what scheduling may cost in all."""

Figures = dict[str, Any]
Ids = npt.NDArray[np.int64]


def compared(protocol: Protocol, records: Sequence[Record], pictures: Mapping[str, Ids]) -> Figures:
    """The arms' figures.

    Args:
        protocol: The protocol.
        records: Runs that all ended, the same seeds and budgets for every arm.
        pictures: By task, which picture each scored item asks about.
    """
    tasks = list(dict.fromkeys(record.cell.task for record in records))
    arms = list(dict.fromkeys(record.cell.arm for record in records))
    scores = {task: scores_of(records, task, arms, pictures[task]) for task in tasks}
    whole = Bootstrap(arms, scores)
    wider = Bootstrap(arms, scores, are_tasks_drawn=True)
    return {
        "tasks": {
            task: _of_task(records, task, arms, Bootstrap(arms, {task: scores[task]}))
            for task in tasks
        },
        "arms": {arm: _of_arm(protocol, arm, arms, whole, wider) for arm in arms},
        "offline": _offline(records),
    }


def scores_of(records: Sequence[Record], task: str, arms: Sequence[str], ids: Ids) -> TaskScores:
    """Right answers per arm, seed and item, averaged over budgets and draws.

    Raises:
        ValueError: Arms did not run with the same seeds and budgets.
    """
    mine = [record for record in records if record.cell.task == task]
    seeds = sorted({record.cell.seed for record in mine})
    budgets = sorted({record.cell.budget for record in mine})
    correct_ASI = []
    for arm in arms:
        of_arm = [record for record in mine if record.cell.arm == arm]
        places = {(record.cell.seed, record.cell.budget) for record in of_arm}
        if places != {(seed, budget) for seed in seeds for budget in budgets}:
            raise ValueError(
                f"every arm must have run at every seed and budget, {arm} on {task} did not; "
                "run the preset to its end"
            )
        by_seed = []
        for seed in seeds:
            of_seed = [record for record in of_arm if record.cell.seed == seed]
            by_budget = [
                np.mean([_bits(r) for r in of_seed if r.cell.budget == budget], axis=0)
                for budget in budgets
            ]
            by_seed.append(np.mean(by_budget, axis=0))
        correct_ASI.append(by_seed)
    correct = np.asarray(correct_ASI, dtype=np.float64)
    return TaskScores(correct, ids[: correct.shape[-1]])


def _of_arm(
    protocol: Protocol, arm: str, arms: Sequence[str], whole: Bootstrap, wider: Bootstrap
) -> Figures:
    rule = protocol.arms[arm]
    figures: Figures = {
        "key": protocol.key(arm),
        "is_charged": bool(rule.less_cost_of or rule.plus_cost_of),
        "over_budget": protocol.arms[protocol.tuned_arm(arm)].over_budget,
        "accuracy": whole.accuracy(arm).value,
        "accuracy_ci95": _interval(whole.accuracy(arm)),
    }
    if BASELINE in arms and arm != BASELINE:
        figures |= _gain(whole.relative_gain(arm, BASELINE), wider.relative_gain(arm, BASELINE))
    rivals, others = opponents(protocol, arm, arms)
    corrected = holm({other: whole.difference(arm, other).p for other in rivals})
    for other in (*rivals, *others):
        key, difference = protocol.key(other), whole.difference(arm, other)
        figures |= {
            f"vs_{key}": difference.value,
            f"vs_{key}_ci95": _interval(difference),
            f"vs_{key}_ci95_tasks_drawn": _interval(wider.difference(arm, other)),
            f"vs_{key}_p": difference.p,
        }
        if other in corrected:
            figures[f"vs_{key}_p_holm"] = corrected[other]
    return figures


def _gain(fixed: Estimate, drawn: Estimate) -> Figures:
    """With tasks fixed and drawn; nothing where the baseline got nothing right: JSON has no nan."""
    if math.isnan(fixed.value):
        return {}
    return {
        "relative_gain_vs_uniform": fixed.value,
        "ci95": _interval(fixed),
        "p": fixed.p,
        "ci95_tasks_drawn": _interval(drawn),
    }


def opponents(
    protocol: Protocol, arm: str, arms: Sequence[str]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Whom an arm is compared with: rivals, whose number p-values are corrected for, and others.

    The challenger, and the challenger made to pay for its decisions, meet all: rivals are the arms
    that are no variant of another. Any other arm meets what it is a variant of, or uniform.
    """
    rule = protocol.arms[arm]
    if CHALLENGER in (arm, rule.less_cost_of):
        rest = [other for other in arms if other not in (arm, CHALLENGER)]
        rivals = tuple(other for other in rest if protocol.arms[other].like is None)
        return rivals, tuple(other for other in rest if other not in rivals)
    base = rule.like or BASELINE
    return (), ((base,) if base in arms and base != arm else ())


def _of_task(
    records: Sequence[Record], task: str, arms: Sequence[str], bootstrap: Bootstrap
) -> Figures:
    found = {}
    for arm in arms:
        mine = [r for r in records if (r.cell.task, r.cell.arm) == (task, arm)]
        accuracy = bootstrap.accuracy(arm)
        figures: Figures = {
            "accuracy": accuracy.value,
            "ci95": _interval(accuracy),
            "by_budget": {
                f"{budget:g}": _at_budget([r for r in mine if r.cell.budget == budget])
                for budget in sorted({r.cell.budget for r in mine})
            },
            "seeds": len({r.cell.seed for r in mine}),
            "items": len(_bits(mine[0])),
            "max_live_share": max(r.max_live_params / r.budget_params for r in mine),
            "measurement_s": float(np.mean([r.measurement_s for r in mine])),
            "steering_s": float(np.mean([r.steering_s for r in mine])),
            "train_s": float(np.mean([r.train_s for r in mine])),
        }
        losses = [r.loss for r in mine if r.loss is not None]
        if losses:
            figures["loss"] = float(np.mean(losses))
        for other in (BASELINE, CHALLENGER):
            if other in arms and other != arm:
                difference = bootstrap.difference(arm, other)
                figures |= {
                    f"vs_{other}": difference.value,
                    f"vs_{other}_ci95": _interval(difference),
                }
        found[arm] = figures
    return found


def _at_budget(records: Sequence[Record]) -> Figures:
    """One arm on one task at one budget."""
    figures: Figures = {
        "accuracy": float(np.mean([record.accuracy for record in records])),
        "lr": records[0].lr,
        "steps": records[0].steps,
    }
    agreement = rank_agreement([list(record.ranks.values()) for record in records])
    return figures if agreement is None else figures | {"rank_agreement": agreement}


def rank_agreement(ranks_RM: Sequence[Sequence[int]]) -> float | None:
    """Mean rank correlation over pairs of runs of their modules' final ranks.

    None where a run ended with equal ranks everywhere, or there is one run.
    """
    if len(ranks_RM) < 2 or any(len(set(ranks_M)) < 2 for ranks_M in ranks_RM):
        return None
    pairs = combinations((np.array(ranks_M, dtype=np.float64) for ranks_M in ranks_RM), 2)
    return float(np.mean([spearman(one, other) for one, other in pairs]))


def _offline(records: Sequence[Record]) -> Figures | None:
    """What the challenger's offline models cost, and after how many runs that is paid back.

    Paid back: the offline runs' seconds, shared out over so many runs, and the decisions' seconds
    of each are together no more than ``AIMED_OVERHEAD`` of its training time. None for never.
    """
    mine = [record for record in records if record.cell.arm == CHALLENGER]
    models = {record.offline.name: record.offline for record in mine if record.offline}
    if not models:
        return None
    train_s = float(np.mean([record.train_s for record in mine]))
    steering_s = float(np.mean([record.steering_s for record in mine]))
    left_s = AIMED_OVERHEAD * train_s - steering_s
    return {
        name: {
            "num_runs": model.num_runs,
            "train_s": model.train_s,
            "paid_back_after_runs": int(np.ceil(model.train_s / left_s)) if left_s > 0 else None,
        }
        for name, model in models.items()
    }


def _bits(record: Record) -> npt.NDArray[np.float64]:
    assert record.correct_N is not None
    return record.correct_N.astype(np.float64)


def _interval(estimate: Estimate) -> list[float]:
    return [estimate.low, estimate.high]
