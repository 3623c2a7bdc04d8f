"""The row of each kind of event: which table, which columns."""

import math
from collections.abc import Mapping
from datetime import UTC, datetime

from rankscope.models.events import (
    CheckpointSaved,
    Decided,
    Evaluated,
    Event,
    LogLine,
    Measured,
    ParamsSampled,
    RanksChanged,
    Resumed,
    StatusChanged,
    StepDone,
)
from rankscope.storage.packing import pack_bits, pack_model, pack_ranks
from rankscope.storage.schema import Base
from rankscope.storage.tables import (
    Artifact,
    Evaluation,
    LogLineRow,
    Metric,
    NumelSample,
    RankChange,
    RecordedDecision,
    RecordedMeasurement,
)

Row = dict[str, object]
Table = type[Base]


def rows_of(event: Event, event_id: int, index_of: Mapping[str, int]) -> tuple[Table, Row] | None:
    """The event's table and row, without the run; None for an event that only changes the run.

    Args:
        event: What happened.
        event_id: Its id within the run.
        index_of: Module name -> place in the run's inventory.
    """
    common: Row = {"event_id": event_id, "step": event.step, "time": event.time}
    made: tuple[Table, Row] | None = None
    match event:
        case StepDone():
            made = Metric, _metric(event)
        case RanksChanged():
            made = (
                RankChange,
                common
                | {
                    "cause": event.cause,
                    "moved_params": event.moved_params,
                    "live_params": event.live_params,
                    "ranks": pack_ranks(event.ranks, index_of),
                },
            )
        case ParamsSampled():
            made = NumelSample, common | {"sample": event.sample, "live_params": event.live_params}
        case Decided():
            made = (
                RecordedDecision,
                common
                | {
                    "kind": event.decision.kind,
                    "view": pack_model(event.view),
                    "decision": pack_model(event.decision),
                },
            )
        case Measured():
            made = (
                RecordedMeasurement,
                common
                | {
                    "measured": pack_model(event),
                    "cost_s": event.cost_s,
                    "cost_items": event.cost_items,
                },
            )
        case Evaluated():
            made = Evaluation, common | _evaluation(event)
        case CheckpointSaved():
            made = Artifact, _checkpoint(event, event_id)
        case LogLine():
            made = LogLineRow, common | {"level": event.level, "text": storable(event.text)}
        case StatusChanged() | Resumed():
            pass
    return made


def storable(text: str) -> str:
    """The text without what PostgreSQL refuses: NUL characters and broken surrogates."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode()


def _metric(event: StepDone) -> Row:
    return {
        "step": event.step,
        "loss": _or_null(event.loss),
        "lr": _or_null(event.lr),
        "grad_norm": _or_null(event.grad_norm),
        "step_s": event.step_s,
        "time": event.time,
    }


def _evaluation(event: Evaluated) -> Row:
    return {
        "part": event.part,
        "kind": event.when,
        "accuracy": event.accuracy,
        "accuracy_by_skill": {skill: _or_null(x) for skill, x in event.accuracy_by_skill.items()},
        "correct": pack_bits(event.correct),
        "num_items": len(event.correct),
        "loss": _or_null(event.loss),
        "duration_s": event.duration_s,
    }


def _checkpoint(event: CheckpointSaved, event_id: int) -> Row:
    return {
        "path": event.path,
        "kind": "checkpoint",
        "event_id": event_id,
        "step": event.step,
        "size_bytes": event.size_bytes,
        "created_at": datetime.fromtimestamp(event.time, UTC),
    }


def _or_null(number: float | None) -> float | None:
    return None if number is None or math.isnan(number) else number
