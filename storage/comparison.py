"""Compare runs: one row per configuration, seeds pooled, paired differences, fairness checked."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pandas as pd
from pydantic import JsonValue
from sqlalchemy import Engine, select

from rankscope.models.events import OPEN_STATUSES
from rankscope.storage.errors import UnknownRunError
from rankscope.storage.intervals import NOTHING, Interval, over_seeds, paired_over_items, wilson
from rankscope.storage.packing import unpack_bits
from rankscope.storage.scheduler_failures import scheduler_failures
from rankscope.storage.tables import Evaluation, Run

_NOT_CONFIGURATION = ("seed", "name", "tags", "version")
_MADE_BY_ORIGIN = ("ranks", "lr_factors")
_MAPPINGS = ("scheduler.ranks", "scheduler.lr_factors")
_ABSENT = "(absent)"
Flat = dict[str, str]
Bits = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Comparison:
    """Tables for people; accuracies are fractions of test items after training.

    ``rows``: configuration, scheduler, runs, num_runs, num_scored, num_seeds, accuracy, low, high,
    basis, num_items, budget_params, max_live_params, is_equal_budget, is_within_budget.
    ``differences``: the configuration keys (dotted) whose values differ, one column per
    configuration. ``paired``: configuration, difference to the baseline, low, high, basis,
    num_seeds, num_items. ``num_open``: runs that have not ended. ``warnings``: what makes the
    comparison unfair or, with all runs ended, incomplete; one sentence each. A budget that is not
    resolved yet, as of a run that waits, is neither equal nor unequal to others.
    """

    rows: pd.DataFrame
    differences: pd.DataFrame
    paired: pd.DataFrame
    baseline: str
    num_open: int
    warnings: tuple[str, ...]


@dataclass
class _Arm:
    """The runs of one configuration."""

    flat: Flat
    label: str = ""
    runs: list[str] = field(default_factory=list)
    scheduler: str = ""
    num_open: int = 0
    num_unscored: int = 0
    """Ended runs without a test score."""
    num_scheduler_failures: int = 0
    budgets: set[int] = field(default_factory=set)
    live: list[int] = field(default_factory=list)
    correct: dict[int, list[Bits]] = field(default_factory=dict)
    """Per seed, the correctness of the test items in each of its scored runs."""

    @property
    def num_scored(self) -> int:
        return sum(len(runs) for runs in self.correct.values())

    def accuracy_of_seeds(self) -> dict[int, float]:
        """Mean accuracy per seed: a seed that ran twice counts once."""
        return {
            seed: float(np.mean([bits.mean() for bits in runs]))
            for seed, runs in sorted(self.correct.items())
        }


def compare(engine: Engine, run_ids: Sequence[str], *, baseline: str | None = None) -> Comparison:
    """Put runs side by side.

    Args:
        engine: The database.
        run_ids: Full ids, at least one; repeated ones count once.
        baseline: A run of the configuration that the others are compared with; the first run's by
            default.

    Raises:
        UnknownRunError: If a run does not exist or the baseline is not among the runs.
    """
    wanted = list(dict.fromkeys(run_ids))
    arms = _arms(engine, wanted)
    chosen = baseline or wanted[0]
    reference = next((arm for arm in arms if chosen in arm.runs), None)
    if reference is None:
        raise UnknownRunError(f"the baseline must be one of the runs, got {chosen!r}; add it")
    differing = [key for key in _all_keys(arms) if len({arm.flat.get(key) for arm in arms}) > 1]
    for arm in arms:
        arm.label = _label(arm, differing, arms)
    differences = {arm.label: [arm.flat.get(key, _ABSENT) for key in differing] for arm in arms}
    return Comparison(
        rows=pd.DataFrame([_row(arm, reference) for arm in arms]),
        differences=pd.DataFrame(differences, index=pd.Index(differing, name="key")),
        paired=pd.DataFrame([_pair(arm, reference) for arm in arms if arm is not reference]),
        baseline=reference.label,
        num_open=sum(arm.num_open for arm in arms),
        warnings=tuple(_warnings(arms, reference)),
    )


def _arms(engine: Engine, run_ids: list[str]) -> list[_Arm]:
    columns = (Run.id, Run.status, Run.config, Run.budget_params, Run.max_live_params)
    with engine.connect() as connection:
        found = {
            row.id: row for row in connection.execute(select(*columns).where(Run.id.in_(run_ids)))
        }
        failures = scheduler_failures(connection, run_ids)
    missing = [run_id for run_id in run_ids if run_id not in found]
    if missing or not run_ids:
        raise UnknownRunError(
            f"runs to compare must exist, got {', '.join(missing) or 'none'}; "
            "see them with: rankscope runs"
        )
    scores = _scores(engine, run_ids)
    arms: dict[str, _Arm] = {}
    for run_id in run_ids:
        row = found[run_id]
        flat = _flatten(_configuration(row.config))
        arm = arms.setdefault(json.dumps(flat, sort_keys=True), _Arm(flat))
        arm.runs.append(run_id)
        arm.scheduler = row.config["scheduler"]["kind"]
        is_open = row.status in OPEN_STATUSES
        arm.num_open += is_open
        arm.num_unscored += not is_open and run_id not in scores
        arm.num_scheduler_failures += run_id in failures
        if row.budget_params is not None:
            arm.budgets.add(row.budget_params)
        if row.max_live_params is not None:
            arm.live.append(row.max_live_params)
        if run_id in scores:
            arm.correct.setdefault(row.config["seed"], []).append(scores[run_id])
    return list(arms.values())


def _scores(engine: Engine, run_ids: list[str]) -> dict[str, Bits]:
    """Per run that has one, the correctness of its latest test score after training."""
    statement = (
        select(Evaluation.run_id, Evaluation.correct, Evaluation.num_items)
        .where(
            Evaluation.run_id.in_(run_ids), Evaluation.part == "test", Evaluation.kind == "after"
        )
        .order_by(Evaluation.event_id)
    )
    with engine.connect() as connection:
        rows = list(connection.execute(statement))
    return {row.run_id: unpack_bits(row.correct, row.num_items) for row in rows if row.num_items}


def _row(arm: _Arm, reference: _Arm) -> dict[str, object]:
    accuracies = list(arm.accuracy_of_seeds().values())
    items = [len(bits) for runs in arm.correct.values() for bits in runs]
    interval = NOTHING
    if len(accuracies) > 1:
        interval = _within_0_and_1(over_seeds(accuracies))
    elif accuracies:
        interval = wilson(accuracies[0], items[0])
    budget, live = _only(arm.budgets), max(arm.live, default=None)
    return {
        "configuration": arm.label,
        "scheduler": arm.scheduler,
        "runs": tuple(arm.runs),
        "num_runs": len(arm.runs),
        "num_scored": arm.num_scored,
        "num_seeds": len(accuracies),
        "accuracy": interval.mean,
        "low": interval.low,
        "high": interval.high,
        "basis": interval.basis,
        "num_items": min(items, default=0),
        "budget_params": budget,
        "max_live_params": live,
        "is_equal_budget": _is_equal_budget(arm, reference),
        "is_within_budget": budget is None or live is None or live <= budget,
    }


def _within_0_and_1(interval: Interval) -> Interval:
    """An accuracy cannot lie outside, an interval of Student's t can."""
    return interval._replace(low=max(0.0, interval.low), high=min(1.0, interval.high))


def _pair(arm: _Arm, reference: _Arm) -> dict[str, object]:
    """The arm's gain over the reference, on the seeds and items that both have."""
    ours, theirs = arm.accuracy_of_seeds(), reference.accuracy_of_seeds()
    seeds = (
        sorted(ours.keys() & theirs.keys()) if _test_items(arm) == _test_items(reference) else []
    )
    interval: Interval = NOTHING
    if len(seeds) > 1:
        interval = over_seeds([ours[seed] - theirs[seed] for seed in seeds])
    elif seeds:
        interval = paired_over_items(arm.correct[seeds[0]][-1], reference.correct[seeds[0]][-1])
    return {
        "configuration": arm.label,
        "difference": interval.mean,
        "low": interval.low,
        "high": interval.high,
        "basis": interval.basis,
        "num_seeds": len(seeds),
        "num_items": len(arm.correct[seeds[0]][-1]) if seeds else 0,
    }


def _test_items(arm: _Arm) -> object:
    """What decides the test items; equal values mean the same items in the same order."""
    data = {key: value for key, value in arm.flat.items() if key.startswith("data.")}
    return data, {len(bits) for runs in arm.correct.values() for bits in runs}


def _warnings(arms: list[_Arm], reference: _Arm) -> list[str]:
    warnings = []
    for arm in arms:
        if arm.num_unscored:
            runs = f"{arm.num_unscored} of {len(arm.runs)} runs"
            warnings.append(f"{arm.label}: {runs} have no test score")
        if arm.num_scheduler_failures:
            runs = f"{arm.num_scheduler_failures} of {len(arm.runs)} runs"
            warnings.append(f"{arm.label}: the scheduler of {runs} failed, their ranks stayed")
        if not _is_equal_budget(arm, reference):
            budgets = ", ".join(f"{budget:,}" for budget in sorted(arm.budgets))
            warnings.append(f"{arm.label}: unequal budgets, {budgets} parameters")
        budget = _only(arm.budgets)
        if budget is not None and arm.live and max(arm.live) > budget:
            warnings.append(f"{arm.label}: {max(arm.live):,} live parameters exceed its {budget:,}")
        if _test_items(arm) != _test_items(reference) and arm.correct and reference.correct:
            warnings.append(f"{arm.label}: not the same test items as the baseline, not paired")
    return warnings


def _is_equal_budget(arm: _Arm, reference: _Arm) -> bool:
    return len(arm.budgets) < 2 and (
        not arm.budgets or not reference.budgets or arm.budgets == reference.budgets
    )


def _only(budgets: set[int]) -> int | None:
    return next(iter(budgets)) if len(budgets) == 1 else None


def _all_keys(arms: list[_Arm]) -> list[str]:
    return sorted({key for arm in arms for key in arm.flat})


def _label(arm: _Arm, differing: list[str], arms: list[_Arm]) -> str:
    """What it is called where that tells the arms apart, else the settings that do."""
    called = _called(arm)
    if sum(_called(other) == called for other in arms) == 1:
        return called
    settings = [f"{key}={arm.flat[key]}" for key in differing if arm.flat.get(key)]
    hidden = ("scheduler.kind=", "scheduler.origin=")
    return " ".join([called, *(s for s in settings if not s.startswith(hidden))])


def _called(arm: _Arm) -> str:
    """The scheduler, or where its given ranks come from."""
    return arm.flat.get("scheduler.origin") or arm.scheduler


def _configuration(config: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """What must be equal for runs to be one configuration.

    Given ranks that name their origin stand for it: those of another seed's run are other ranks of
    the same making.
    """
    kept = {key: value for key, value in config.items() if key not in _NOT_CONFIGURATION}
    scheduler = kept.get("scheduler")
    if isinstance(scheduler, dict) and scheduler.get("origin"):
        kept["scheduler"] = {k: v for k, v in scheduler.items() if k not in _MADE_BY_ORIGIN}
    return kept


def _flatten(value: JsonValue, prefix: str = "") -> Flat:
    """Dotted keys to JSON text; lists of words stand for sets and are sorted.

    A mapping of modules is one value, told by its size and the beginning of its SHA-256.
    """
    if isinstance(value, dict) and prefix in _MAPPINGS:
        digest = hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
        return {prefix: f"{len(value)} modules #{digest[:8]}" if value else "{}"}
    if isinstance(value, dict):
        flat: Flat = {}
        for key, inner in value.items():
            flat |= _flatten(inner, f"{prefix}.{key}" if prefix else key)
        return flat
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        value = sorted(value, key=str)
    return {prefix: value if isinstance(value, str) else json.dumps(value)}
