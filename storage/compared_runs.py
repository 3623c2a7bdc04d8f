"""What a comparison shows of its runs beside the scores: facts, ranks now, curves."""

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict
from sqlalchemy import Connection, Engine, func, select

from rankscope.models.events import RunStatus
from rankscope.models.inventory import AdaptableModule, Inventory
from rankscope.storage.packing import unpack_json, unpack_ranks
from rankscope.storage.tables import Evaluation, Metric, RankChange, RecordedMeasurement, Run


class ComparedRun(BaseModel):
    """One run as a comparison shows it; None where it has not come so far."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    name: str
    seed: int
    status: RunStatus
    status_reason: str
    step: int
    num_steps: int
    budget_params: int | None
    max_live_params: int | None
    final_params: int | None
    wall_s: float | None
    accuracy: float | None
    """On test, after training."""
    num_items: int | None
    validation_accuracy: float | None
    """The latest score on validation."""
    num_rank_events: int
    """Changes after step 0 that moved parameters."""
    moved_params: int
    measurement_s: float
    measurement_items: int


class CurvePoint(NamedTuple):
    """One point of a curve of one run."""

    run_id: str
    step: int
    value: float


def revision(engine: Engine, run_ids: Sequence[str]) -> str:
    """A text that changes whenever anything that a comparison of these runs shows may have."""
    columns = (Run.id, Run.status, Run.step, Run.last_event_id)
    with engine.connect() as connection:
        rows = connection.execute(select(*columns).where(Run.id.in_(run_ids)).order_by(Run.id))
        return ";".join(f"{row.id}:{row.status}:{row.step}:{row.last_event_id}" for row in rows)


def compared_runs(engine: Engine, run_ids: Sequence[str]) -> dict[str, ComparedRun]:
    """The facts of each run, in the order asked for; a fixed number of queries however many."""
    with engine.connect() as connection:
        rows = {
            row.id: row
            for row in connection.execute(
                select(
                    Run.id,
                    Run.name,
                    Run.config["seed"].as_integer().label("seed"),
                    Run.status,
                    Run.status_reason,
                    Run.step,
                    Run.num_steps,
                    Run.budget_params,
                    Run.max_live_params,
                    Run.final_params,
                    Run.started_at,
                    Run.ended_at,
                ).where(Run.id.in_(run_ids))
            )
        }
        tests = _latest_scores(connection, run_ids, part="test", kind="after")
        validations = _latest_scores(connection, run_ids, part="validation", kind=None)
        moves = _moves(connection, run_ids)
        costs = _costs(connection, run_ids)
    found = {}
    for run_id in dict.fromkeys(run_ids):
        row = rows[run_id]
        accuracy, num_items = tests.get(run_id, (None, None))
        num_events, moved = moves.get(run_id, (0, 0))
        cost_s, cost_items = costs.get(run_id, (0.0, 0))
        ended_at = row.ended_at or datetime.now(UTC)
        found[run_id] = ComparedRun(
            id=row.id,
            name=row.name,
            seed=row.seed,
            status=row.status,
            status_reason=row.status_reason,
            step=row.step,
            num_steps=row.num_steps,
            budget_params=row.budget_params,
            max_live_params=row.max_live_params,
            final_params=row.final_params,
            wall_s=(ended_at - row.started_at).total_seconds() if row.started_at else None,
            accuracy=accuracy,
            num_items=num_items,
            validation_accuracy=validations.get(run_id, (None, None))[0],
            num_rank_events=num_events,
            moved_params=moved,
            measurement_s=cost_s,
            measurement_items=cost_items,
        )
    return found


def loss_curves(engine: Engine, run_ids: Sequence[str], window_steps: int) -> list[CurvePoint]:
    """Mean training loss per run and window of steps; a point stands at its window's last step.

    The windows are the same for all runs, so that points of different runs can be averaged.
    """
    window = (Metric.step - 1) // window_steps
    statement = (
        select(Metric.run_id, window.label("window"), func.avg(Metric.loss).label("loss"))
        .where(Metric.run_id.in_(run_ids), Metric.loss.is_not(None))
        .group_by(Metric.run_id, window)
        .order_by(Metric.run_id, window)
    )
    with engine.connect() as connection:
        return [
            CurvePoint(row.run_id, (int(row.window) + 1) * window_steps, float(row.loss))
            for row in connection.execute(statement)
            if math.isfinite(row.loss)
        ]


def validation_curves(engine: Engine, run_ids: Sequence[str]) -> list[CurvePoint]:
    """Accuracy on validation per run and step; of repeated scores the latest."""
    statement = (
        select(Evaluation.run_id, Evaluation.step, Evaluation.accuracy)
        .where(Evaluation.run_id.in_(run_ids), Evaluation.part == "validation")
        .order_by(Evaluation.run_id, Evaluation.event_id)
    )
    with engine.connect() as connection:
        latest = {(row.run_id, row.step): row.accuracy for row in connection.execute(statement)}
    return [CurvePoint(run_id, step, value) for (run_id, step), value in sorted(latest.items())]


class RankMap(NamedTuple):
    """Ranks of a run now; ``ranks_M`` in the order of ``modules``."""

    modules: tuple[AdaptableModule, ...]
    ranks_M: list[int]


def rank_maps(engine: Engine, run_ids: Sequence[str]) -> dict[str, RankMap]:
    """The present ranks of every run that has its first allocation."""
    inventories = select(Run.id, Run.inventory).where(
        Run.id.in_(run_ids), Run.inventory.is_not(None)
    )
    changes = select(RankChange.run_id, RankChange.ranks).where(RankChange.run_id.in_(run_ids))
    blobs: dict[str, list[bytes]] = {}
    modules_of: dict[bytes, tuple[AdaptableModule, ...]] = {}  # seeds share one inventory
    maps = {}
    with engine.connect() as connection:
        for row in connection.execute(changes.order_by(RankChange.run_id, RankChange.event_id)):
            blobs.setdefault(row.run_id, []).append(row.ranks)
        for run_id, packed in connection.execute(inventories):
            if run_id not in blobs or packed is None:
                continue
            if packed not in modules_of:
                inventory = Inventory.model_validate_json(unpack_json(packed))
                modules_of[packed] = inventory.modules
            modules = modules_of[packed]
            ranks_M = [0] * len(modules)
            indices, ranks = unpack_ranks(b"".join(blobs[run_id]))
            for index, rank in zip(indices.tolist(), ranks.tolist(), strict=True):
                ranks_M[index] = rank
            maps[run_id] = RankMap(modules, ranks_M)
    return maps


def _latest_scores(
    connection: Connection, run_ids: Sequence[str], *, part: str, kind: str | None
) -> dict[str, tuple[float, int]]:
    statement = select(Evaluation.run_id, Evaluation.accuracy, Evaluation.num_items).where(
        Evaluation.run_id.in_(run_ids), Evaluation.part == part
    )
    if kind is not None:
        statement = statement.where(Evaluation.kind == kind)
    rows = connection.execute(statement.order_by(Evaluation.event_id))
    return {row.run_id: (row.accuracy, row.num_items) for row in rows}


def _moves(connection: Connection, run_ids: Sequence[str]) -> dict[str, tuple[int, int]]:
    """Per run, changes after step 0 that moved parameters, and parameters moved in all."""
    after_start = func.count().filter(RankChange.step > 0)
    statement = (
        select(RankChange.run_id, after_start, func.sum(RankChange.moved_params))
        .where(
            RankChange.run_id.in_(run_ids),
            RankChange.cause.in_(("scheduler", "observed")),
            RankChange.moved_params > 0,
        )
        .group_by(RankChange.run_id)
    )
    return {run: (int(num), int(moved)) for run, num, moved in connection.execute(statement)}


def _costs(connection: Connection, run_ids: Sequence[str]) -> dict[str, tuple[float, int]]:
    """Per run, seconds and items spent on the planner's measurements."""
    table = RecordedMeasurement
    statement = (
        select(table.run_id, func.sum(table.cost_s), func.sum(table.cost_items))
        .where(table.run_id.in_(run_ids))
        .group_by(table.run_id)
    )
    return {run: (float(cost), int(items)) for run, cost, items in connection.execute(statement)}
