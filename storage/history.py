"""Read what a run recorded: typed where a planner would need it again, tables where people look."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sqlalchemy import Engine, Row, Select, select

from rankscope.models.events import Decided, EvaluationKind, EvaluationPart, Measured
from rankscope.models.inventory import Inventory
from rankscope.storage.errors import StorageError, UnknownRunError
from rankscope.storage.packing import unpack_bits, unpack_json, unpack_python, unpack_ranks
from rankscope.storage.summary import RunSummary, summary
from rankscope.storage.tables import (
    Evaluation,
    LogLineRow,
    Metric,
    NumelSample,
    RankChange,
    RecordedDecision,
    RecordedMeasurement,
    Run,
)

__all__ = [
    "PastEvaluation",
    "RunSummary",
    "decisions",
    "evaluations",
    "first_decision",
    "has_score",
    "log_lines",
    "measurements",
    "metrics",
    "numel_samples",
    "rank_changes",
    "rank_history",
    "rank_map",
    "summary",
]


@dataclass(frozen=True)
class PastEvaluation:
    """One scored part; ``correct`` holds one flag per item, in the order of the part."""

    step: int
    time: float
    part: EvaluationPart
    when: EvaluationKind
    accuracy: float
    accuracy_by_skill: dict[str, float]
    correct: npt.NDArray[np.bool_]
    loss: float | None
    duration_s: float


def metrics(engine: Engine, run_id: str) -> pd.DataFrame:
    """One row per step: step, loss (nats), lr, grad_norm, step_s, time (s since the epoch)."""
    columns = (Metric.step, Metric.loss, Metric.lr, Metric.grad_norm, Metric.step_s, Metric.time)
    statement = select(*columns).where(Metric.run_id == run_id).order_by(Metric.step)
    frame = _frame(engine, statement)
    numbers = ["loss", "lr", "grad_norm", "step_s", "time"]
    frame[numbers] = frame[numbers].astype(np.float64)  # NULL becomes NaN
    return frame


def rank_map(engine: Engine, run_id: str, step: int | None = None) -> dict[str, int]:
    """Every module's rank at the end of a step, or now; empty before the first allocation."""
    statement = select(RankChange.ranks).where(RankChange.run_id == run_id)
    if step is not None:
        statement = statement.where(RankChange.step <= step)
    rows = _rows(engine, statement.order_by(RankChange.event_id))
    names = _module_names(engine, run_id, is_needed=bool(rows))
    indices_C, ranks_C = unpack_ranks(b"".join(row.ranks for row in rows))
    ranks_M = np.full(len(names), -1, dtype=np.int64)
    ranks_M[indices_C] = ranks_C  # of repeated indices numpy keeps the last
    known = zip(names, ranks_M.tolist(), strict=True)
    return {name: rank for name, rank in known if rank >= 0}


def rank_history(engine: Engine, run_id: str) -> pd.DataFrame:
    """One row per change of a module: event_id, step, time, cause, module, rank."""
    table = RankChange
    statement = select(table.event_id, table.step, table.time, table.cause, table.ranks)
    events = _frame(engine, statement.where(table.run_id == run_id).order_by(table.event_id))
    blobs = list(events.pop("ranks"))
    names = _module_names(engine, run_id, is_needed=bool(blobs))
    indices_C, ranks_C = unpack_ranks(b"".join(blobs))
    num_modules = np.array([len(blob) // 4 for blob in blobs], dtype=np.int64)
    repeated = events.loc[events.index.repeat(num_modules)].reset_index(drop=True)
    return repeated.assign(module=np.array(names, dtype=object)[indices_C], rank=ranks_C)


def rank_changes(engine: Engine, run_id: str) -> pd.DataFrame:
    """One row per event: event_id, step, time, cause, moved_params, live_params."""
    statement = select(
        RankChange.event_id,
        RankChange.step,
        RankChange.time,
        RankChange.cause,
        RankChange.moved_params,
        RankChange.live_params,
    ).where(RankChange.run_id == run_id)
    return _frame(engine, statement.order_by(RankChange.event_id))


def decisions(engine: Engine, run_id: str) -> list[Decided]:
    """What the planner saw and decided, in order; enough to replay the run."""
    table = RecordedDecision
    statement = select(table.step, table.time, table.view, table.decision)
    statement = statement.where(table.run_id == run_id).order_by(table.event_id)
    return [_decided(row) for row in _rows(engine, statement)]


def first_decision(engine: Engine, run_id: str) -> Decided | None:
    """The run's first decision, if it has come that far."""
    table = RecordedDecision
    statement = select(table.step, table.time, table.view, table.decision)
    statement = statement.where(table.run_id == run_id).order_by(table.event_id).limit(1)
    return next((_decided(row) for row in _rows(engine, statement)), None)


def measurements(engine: Engine, run_id: str) -> list[Measured]:
    """What was measured for the planner and what it cost, in order."""
    table = RecordedMeasurement
    statement = select(table.measured).where(table.run_id == run_id).order_by(table.event_id)
    return [
        Measured.model_validate(unpack_python(row.measured)) for row in _rows(engine, statement)
    ]


def evaluations(engine: Engine, run_id: str) -> list[PastEvaluation]:
    """All scores with their items, in order."""
    statement = select(Evaluation).where(Evaluation.run_id == run_id).order_by(Evaluation.event_id)
    return [
        PastEvaluation(
            step=row.step,
            time=row.time,
            part=row.part,
            when=row.kind,
            accuracy=row.accuracy,
            accuracy_by_skill={
                skill: np.nan if accuracy is None else accuracy
                for skill, accuracy in row.accuracy_by_skill.items()
            },
            correct=unpack_bits(row.correct, row.num_items),
            loss=row.loss,
            duration_s=row.duration_s,
        )
        for row in _rows(engine, statement)
    ]


def has_score(engine: Engine, run_id: str, *, part: EvaluationPart, when: EvaluationKind) -> bool:
    """Whether the run has scored this part at this moment."""
    statement = select(Evaluation.event_id).where(
        Evaluation.run_id == run_id, Evaluation.part == part, Evaluation.kind == when
    )
    return bool(_rows(engine, statement.limit(1)))


def numel_samples(engine: Engine, run_id: str) -> pd.DataFrame:
    """Adapter parameters after every swap, in order: event_id, step, time, sample, live_params."""
    table = NumelSample
    columns = (table.event_id, table.step, table.time, table.sample, table.live_params)
    statement = select(*columns).where(table.run_id == run_id).order_by(table.event_id)
    return _frame(engine, statement)


def log_lines(engine: Engine, run_id: str) -> pd.DataFrame:
    """Lines for people, in order: event_id, step, time, level, text."""
    table = LogLineRow
    columns = (table.event_id, table.step, table.time, table.level, table.text)
    statement = select(*columns).where(table.run_id == run_id).order_by(table.event_id)
    return _frame(engine, statement)


def _decided(row: Row[*tuple[Any, ...]]) -> Decided:
    return Decided.model_validate(
        {
            "step": row.step,
            "time": row.time,
            "view": unpack_python(row.view),
            "decision": unpack_python(row.decision),
        }
    )


def _module_names(engine: Engine, run_id: str, *, is_needed: bool) -> list[str]:
    rows = _rows(engine, select(Run.inventory).where(Run.id == run_id))
    if not rows:
        raise UnknownRunError(
            f"a run's id must exist, got {run_id!r}; see them with: rankscope runs"
        )
    if rows[0].inventory is None:
        if is_needed:
            raise StorageError(
                f"a run with ranks must have an inventory, {run_id} has none; set it before begin"
            )
        return []
    inventory = Inventory.model_validate_json(unpack_json(rows[0].inventory))
    return [module.name for module in inventory.modules]


def _rows(engine: Engine, statement: Select[*tuple[Any, ...]]) -> list[Row[*tuple[Any, ...]]]:
    with engine.connect() as connection:
        return list(connection.execute(statement))


def _frame(engine: Engine, statement: Select[*tuple[Any, ...]]) -> pd.DataFrame:
    with engine.connect() as connection:
        result = connection.execute(statement)
        # plain tuples: pandas is ten times slower on SQLAlchemy's rows
        return pd.DataFrame([tuple(row) for row in result], columns=list(result.keys()))
