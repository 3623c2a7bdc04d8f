"""All that the page of one run shows when it opens, read in one consistent look at the database.

Whatever the run's length, the page stays small: curves are thinned in SQL, long histories of ranks
are merged, and of decisions, measurements and lines the last ones are given.
"""

import time
from datetime import datetime
from typing import Any, TypedDict

from pydantic import TypeAdapter, ValidationError
from sqlalchemy import Connection, Engine, Row, Select, select

from rankscope.models.inventory import Inventory
from rankscope.models.schedulers import AnyScheduler
from rankscope.models.schedulers.contract import RankPlanner
from rankscope.storage.curves import Curves, curves
from rankscope.storage.errors import UnknownRunError
from rankscope.storage.live import (
    Form,
    Head,
    checkpoint_form,
    decided_form,
    evaluated_form,
    fill_in_realised,
    log_form,
    measured_form,
    ranks_form,
)
from rankscope.storage.packing import unpack_json, unpack_python, unpack_ranks
from rankscope.storage.summary import summary_within
from rankscope.storage.tables import (
    Artifact,
    Evaluation,
    LogLineRow,
    RankChange,
    RecordedDecision,
    RecordedMeasurement,
    Run,
)

AnyRow = Row[*tuple[Any, ...]]
Recorded = Artifact | Evaluation | LogLineRow | RankChange | RecordedDecision | RecordedMeasurement

MAX_RANK_FORMS = 1_000
"""Changes of ranks that a page gets; more are merged with their neighbours."""
MAX_DECISIONS = 200
MAX_LOG_LINES = 200


class RunPage(TypedDict):
    """What ``GET /api/runs/{id}/page`` answers; plain JSON. Lists of forms are in order of id."""

    run: dict[str, object]
    cursor: int
    """Id of the last event that is part of this."""
    modules: list[dict[str, object]]
    max_rank: int
    """Largest rank that any module has had, for the colour scale."""
    ranks: list[int] | None
    """Every module's rank now, in order of the modules; None before the first allocation."""
    rank_changes: list[Form]
    decisions: list[Form]
    measurements: list[Form]
    evaluations: list[Form]
    checkpoints: list[Form]
    metrics: dict[str, list[float | None]]
    num_metric_rows: int
    """Recorded steps; ``metrics`` holds fewer where there are many."""
    log: list[Form]
    summary: dict[str, object]
    artifacts: list[dict[str, object]]
    now: float


def run_page(engine: Engine, run_id: str) -> RunPage:
    """Read the page of a run.

    Raises:
        UnknownRunError: If there is no such run.
    """
    # one snapshot: an event is either part of all of it or comes by the tail after ``cursor``
    options = {"isolation_level": "REPEATABLE READ"} if engine.dialect.name == "postgresql" else {}
    with engine.connect().execution_options(**options) as connection:
        return _page(connection, run_id)


def last_event_id(engine: Engine, run_id: str) -> int:
    """Id of the last event that the database holds.

    Raises:
        UnknownRunError: If there is no such run.
    """
    with engine.connect() as connection:
        found = connection.execute(select(Run.last_event_id).where(Run.id == run_id)).scalar()
    if found is None:
        raise _unknown(run_id)
    return found


def _page(connection: Connection, run_id: str) -> RunPage:
    run = connection.execute(select(Run.__table__).where(Run.id == run_id)).one_or_none()
    if run is None:
        raise _unknown(run_id)
    packed = run.inventory
    modules = Inventory.model_validate_json(unpack_json(packed)).modules if packed else ()
    index_of = {module.name: index for index, module in enumerate(modules)}
    changes = _rank_forms(connection, run_id)
    artifacts = _rows(connection, Artifact, run_id)
    shown: Curves = curves(connection, run_id)
    return RunPage(
        run=_run(run),
        cursor=run.last_event_id,
        modules=[module.model_dump() | {"cost": module.cost} for module in modules],
        max_rank=max((rank for form in changes for rank in form["ranks"]), default=0),
        ranks=_now(changes, len(modules)),
        rank_changes=changes,
        decisions=_decisions(connection, run_id, index_of),
        measurements=[
            measured_form(_head(row), _mapping(row.measured))
            for row in _rows(connection, RecordedMeasurement, run_id, last=MAX_DECISIONS)
        ],
        evaluations=[
            evaluated_form(
                _head(row),
                part=row.part,
                when=row.kind,
                accuracy=row.accuracy,
                accuracy_by_skill=row.accuracy_by_skill,
                correct=row.num_items,
                duration_s=row.duration_s,
                loss=row.loss,
            )
            for row in _rows(connection, Evaluation, run_id)
        ],
        checkpoints=[
            checkpoint_form(
                Head(row.event_id, row.step, row.created_at.timestamp()), row.path, row.size_bytes
            )
            for row in artifacts
            if row.kind == "checkpoint"
        ],
        metrics=shown.points,
        num_metric_rows=shown.num_rows,
        log=[
            log_form(_head(row), row.level, row.text)
            for row in _rows(connection, LogLineRow, run_id, last=MAX_LOG_LINES)
        ],
        summary=summary_within(connection, run_id).model_dump(mode="json"),
        artifacts=[
            {"kind": a.kind, "path": a.path, "size_bytes": a.size_bytes, "step": a.step}
            for a in artifacts
        ],
        now=time.time(),
    )


def _run(run: AnyRow) -> dict[str, object]:
    config: dict[str, Any] = run.config
    row = run._asdict()
    plain = (
        *("id", "name", "tags", "owner", "origin", "status", "status_reason", "attempt"),
        *("step", "num_steps", "budget_params", "max_live_params", "final_params"),
        *("other_trainable_params", "is_held", "queue", "worker_id", "config_hash", "log_path"),
        "data_record",
    )
    times = ("created_at", "started_at", "ended_at", "lease_until")
    parent = run.parent_run_id and {"run": run.parent_run_id, "step": run.parent_step}
    return {
        **{name: row[name] for name in plain},
        **{name: _seconds(row[name]) for name in times},
        "seed": config.get("seed"),
        **{part: config.get(part, {}).get("kind") for part in ("scheduler", "model", "data")},
        "parent": parent,
        "config": config,
        "decision_steps": _decision_steps(config.get("scheduler"), run.num_steps),
    }


def _decision_steps(scheduler: object, num_steps: int) -> list[int]:
    """When the planner is asked; empty for what is no planner, or of another version."""
    try:
        known = TypeAdapter[Any](AnyScheduler).validate_python(scheduler)
    except ValidationError:
        return []
    return list(known.decision_steps(num_steps)) if isinstance(known, RankPlanner) else []


def _rank_forms(connection: Connection, run_id: str) -> list[Form]:
    """Changes in order; of many, each of the last ones stands for several merged into one."""
    rows = _rows(connection, RankChange, run_id)
    per_form = -(-len(rows) // MAX_RANK_FORMS) if rows else 1
    # the first allocation stays by itself: it names all modules
    groups = [rows[:1], *(rows[i : i + per_form] for i in range(1, len(rows), per_form))]
    forms = []
    for group in groups:
        if group:
            indices_C, ranks_C = unpack_ranks(b"".join(row.ranks for row in group))
            pairs = sorted(dict(zip(indices_C.tolist(), ranks_C.tolist(), strict=True)).items())
            moved, last = sum(row.moved_params for row in group), group[-1]
            forms.append(ranks_form(_head(last), last.cause, moved, last.live_params, pairs))
    return forms


def _now(changes: list[Form], num_modules: int) -> list[int] | None:
    if not changes:
        return None
    ranks = [0] * num_modules
    for form in changes:
        for index, rank in zip(form["modules"], form["ranks"], strict=True):
            ranks[index] = rank
    return ranks


def _decisions(connection: Connection, run_id: str, index_of: dict[str, int]) -> list[Form]:
    forms = [
        decided_form(_head(row), _mapping(row.view)["modules"], _mapping(row.decision), index_of)
        for row in _rows(connection, RecordedDecision, run_id, last=MAX_DECISIONS)
    ]
    fill_in_realised(forms)
    return forms


def _rows(
    connection: Connection, table: type[Recorded], run_id: str, *, last: int | None = None
) -> list[AnyRow]:
    """A run's rows in order of their events, or the last of them."""
    statement: Select[*tuple[Any, ...]] = select(table.__table__).where(table.run_id == run_id)
    statement = statement.order_by(table.event_id.desc()).limit(last)
    return list(connection.execute(statement).all()[::-1])


def _head(row: AnyRow) -> Head:
    return Head(row.event_id, row.step, row.time)


def _mapping(packed: bytes) -> dict[str, Any]:
    content = unpack_python(packed)
    assert isinstance(content, dict)
    return content


def _seconds(moment: datetime | None) -> float | None:
    return None if moment is None else moment.timestamp()


def _unknown(run_id: str) -> UnknownRunError:
    return UnknownRunError(f"a run's id must exist, got {run_id!r}; see them with: rankscope runs")
