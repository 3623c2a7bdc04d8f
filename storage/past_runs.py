"""Recorded runs as material for the offline performance model.

Shape letters: C rank changes, M modules.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

import numpy as np
from pydantic import JsonValue, ValidationError
from sqlalchemy import Connection, Engine, Row, Select, func, select
from sqlalchemy.orm import InstrumentedAttribute

from rankscope.models.config import RunConfig
from rankscope.models.external import is_external
from rankscope.models.inventory import AdaptableModule, FloatArray, Inventory
from rankscope.models.schedulers import AnyScheduler
from rankscope.models.schedulers.contract import RankPlanner
from rankscope.models.schedulers.offline.architecture import Architecture
from rankscope.models.schedulers.offline.model import StaticRule
from rankscope.models.schedulers.offline.past_runs import PastRun
from rankscope.models.schedulers.static import Static
from rankscope.models.schedulers.uniform import Uniform
from rankscope.storage.packing import unpack_json, unpack_python, unpack_ranks
from rankscope.storage.tables import Evaluation, Metric, RankChange, RecordedDecision, Run

_RUNS_AT_ONCE = 500
"""In one statement; databases take a limited number of values."""

_NOT_COMPARED = frozenset(
    {"version", "name", "tags", "seed", "scheduler", "budget", "evaluation", "checkpoint"}
)
"""Parts of a config that may differ between runs whose losses are compared; the budget counts in
parameters, as it was resolved."""


class RecordedArchitecture(NamedTuple):
    """An architecture, and the runs that are done and adapt exactly these modules."""

    key: str
    modules: tuple[AdaptableModule, ...]
    num_runs: int
    inventories: tuple[bytes, ...]
    """As they are stored with the runs."""


class Material(NamedTuple):
    """Runs that may be learned from, and the ids of the others with the reason."""

    runs: list[PastRun]
    left_out: dict[str, str]


@dataclass
class _Recorded:
    """What the other tables hold of one run."""

    changes: list[tuple[int, bytes]] = field(default_factory=list)
    """Step and packed ranks, in order."""
    score: tuple[float, int] | None = None
    """Loss on validation after the last step, and the number of items."""
    train_s: float = 0.0
    lr_factors: list[JsonValue] = field(default_factory=list)
    """Step and factors of every decision that set them."""


def recorded_architectures(engine: Engine) -> list[RecordedArchitecture]:
    """Those of all runs that are done, the one with most runs first."""
    statement = (
        select(Run.inventory, func.count())
        .where(Run.status == "done", Run.inventory.is_not(None))
        .group_by(Run.inventory)
    )
    with engine.connect() as connection:
        rows = list(connection.execute(statement))
    found: dict[str, RecordedArchitecture] = {}
    for packed, count in rows:
        assert packed is not None
        modules = Inventory.model_validate_json(unpack_json(packed)).modules
        key = Architecture.of(modules).key
        known = found.get(key, RecordedArchitecture(key, modules, 0, ()))
        found[key] = known._replace(
            num_runs=known.num_runs + count, inventories=(*known.inventories, packed)
        )
    return sorted(found.values(), key=lambda one: (-one.num_runs, one.key))


def num_done(
    engine: Engine,
    architecture: RecordedArchitecture | None = None,
    since: datetime | None = None,
) -> int:
    """How many runs are done: of an architecture, and since a moment, where one is given."""
    statement = select(func.count()).select_from(Run).where(Run.status == "done")
    if architecture is not None:
        statement = statement.where(Run.inventory.in_(architecture.inventories))
    if since is not None:
        statement = statement.where(Run.ended_at > since)
    with engine.connect() as connection:
        return connection.execute(statement).scalar_one()


def past_runs(engine: Engine, architecture: RecordedArchitecture) -> Material:
    """All runs that are done and adapt the architecture's modules."""
    statement = (
        select(Run.id, Run.config, Run.num_steps, Run.budget_params)
        .where(Run.status == "done", Run.inventory.in_(architecture.inventories))
        .order_by(Run.id)
    )
    with engine.connect() as connection:
        rows = list(connection.execute(statement))
        recorded = _recorded(connection, {row.id: row.num_steps for row in rows})
    runs: list[PastRun] = []
    left_out: dict[str, str] = {}
    for row in rows:
        found = _past_run(row, recorded[row.id], architecture.modules)
        if isinstance(found, PastRun):
            runs.append(found)
        else:
            left_out[row.id] = found
    return Material(runs, left_out)


def _past_run(
    row: Row[*tuple[Any, ...]],
    recorded: _Recorded,
    modules: Sequence[AdaptableModule],
) -> PastRun | str:
    """The run as material, or why it is none."""
    if is_external(row.config):
        return "external: nobody knows its other settings"
    try:
        config = RunConfig.model_validate(row.config)
    except ValidationError:
        return "of another version"
    unfit = _unfit(config.scheduler, recorded, row.num_steps)
    if unfit is not None or recorded.score is None:
        return unfit or "no loss on validation after its last step"
    loss, num_items = recorded.score
    settings = config.model_dump(mode="json", exclude=set(_NOT_COMPARED))
    compared = [settings, row.budget_params, num_items, recorded.lr_factors]
    log_ranks_M = _mean_log_ranks(recorded.changes, row.num_steps, len(modules))
    return PastRun(
        id=row.id,
        family=config.data.family,
        task=_digest(settings["data"]),
        group=_digest(compared),
        seed=config.seed,
        rule=_rule(config.scheduler),
        log_ranks=dict(zip((m.name for m in modules), log_ranks_M.tolist(), strict=True)),
        loss=loss,
        num_items=num_items,
        train_s=recorded.train_s,
    )


def _unfit(scheduler: AnyScheduler, recorded: _Recorded, num_steps: int) -> str | None:
    """Why its loss says nothing about its ranks."""
    if not isinstance(scheduler, RankPlanner):
        return f"its scheduler {scheduler.kind} trains by itself"
    if not recorded.changes or recorded.changes[-1][0] >= num_steps:
        return "its ranks changed after its last step"
    return None


def _recorded(connection: Connection, num_steps: Mapping[str, int]) -> dict[str, _Recorded]:
    recorded = {run: _Recorded() for run in num_steps}

    def rows(
        statement: Select[*tuple[Any, ...]], run: InstrumentedAttribute[str]
    ) -> Iterator[Row[*tuple[Any, ...]]]:
        ids = list(num_steps)
        for start in range(0, len(ids), _RUNS_AT_ONCE):
            some = ids[start : start + _RUNS_AT_ONCE]
            yield from connection.execute(statement.where(run.in_(some)))

    change, score, decision = RankChange, Evaluation, RecordedDecision
    changes = select(change.run_id, change.step, change.ranks).order_by(change.event_id)
    for row in rows(changes, change.run_id):
        recorded[row.run_id].changes.append((row.step, row.ranks))
    scores = select(score.run_id, score.step, score.loss, score.num_items).where(
        score.part == "validation", score.loss.is_not(None)
    )
    for row in rows(scores.order_by(score.event_id), score.run_id):
        if row.step == num_steps[row.run_id]:
            recorded[row.run_id].score = (row.loss, row.num_items)
    seconds = select(Metric.run_id, func.sum(Metric.step_s).label("seconds"))
    for row in rows(seconds.group_by(Metric.run_id), Metric.run_id):
        recorded[row.run_id].train_s = row.seconds or 0.0
    applied = select(decision.run_id, decision.step, decision.decision)
    applied = applied.where(decision.kind == "apply").order_by(decision.event_id)
    for row in rows(applied, decision.run_id):
        decided = unpack_python(row.decision)
        assert isinstance(decided, dict)
        if decided["lr_factors"] is not None:
            recorded[row.run_id].lr_factors.append([row.step, decided["lr_factors"]])
    return recorded


def _mean_log_ranks(
    changes: Sequence[tuple[int, bytes]], num_steps: int, num_modules: int
) -> FloatArray:
    """Per module the mean over the steps of log(1 + rank)."""
    ranks_M = np.zeros(num_modules, dtype=np.int64)
    total_M = np.zeros(num_modules)
    ends = [*(step for step, _ in changes[1:]), num_steps]
    for (step, packed), end in zip(changes, ends, strict=True):
        indices_C, ranks_C = unpack_ranks(packed)
        ranks_M[indices_C] = ranks_C
        total_M += (end - step) * np.log1p(ranks_M)
    return total_M / num_steps


def _rule(scheduler: AnyScheduler) -> StaticRule | None:
    if isinstance(scheduler, Uniform):
        return "uniform"
    if isinstance(scheduler, Static) and scheduler.where != "pattern":
        return scheduler.where
    return None


def _digest(content: JsonValue) -> str:
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]
