"""How long runs like this one took, as recorded."""

from statistics import median
from typing import Any, NamedTuple

from sqlalchemy import Engine, func, select

from rankscope.models.config import RunConfig
from rankscope.storage.tables import Metric, Run

NEWEST = 50
"""Machines change: older runs say little about the next one."""
_SAME_DATA = frozenset({"kind", "path", "id", "subset"})
"""Settings of a data set that decide on the length of its rows."""
_NO_MATTER = frozenset({"max_answer_tokens"})
"""Settings of a model that do not change its training steps."""


class Pace(NamedTuple):
    """Time per optimizer step: with all that belongs to a run (start, measurements, scores)...

    Args:
        seconds_per_step: Median over the runs.
        num_runs: That say so.
        is_same_scheduler: Whether all of them had the same scheduler.
        least_s: Of the runs.
        most_s: Of the runs.
        step_s: ... and of the bare step, median over the runs' means; None if none was recorded.
    """

    seconds_per_step: float
    num_runs: int
    is_same_scheduler: bool
    least_s: float
    most_s: float
    step_s: float | None


class _Past(NamedTuple):
    run_id: str
    scheduler: str
    seconds_per_step: float


def recorded_pace(engine: Engine, config: RunConfig) -> Pace | None:
    """Over finished runs of the same model, data, precision, processes and items per step, if any.

    Those with the same scheduler count alone where there are some. Runs that were interrupted are
    left out: they also waited.
    """
    past = _runs_like(engine, config)
    own = [run for run in past if run.scheduler == config.scheduler.kind]
    chosen = own or past
    if not chosen:
        return None
    paces = [run.seconds_per_step for run in chosen]
    return Pace(
        median(paces),
        len(chosen),
        bool(own),
        min(paces),
        max(paces),
        _step_s(engine, [run.run_id for run in chosen]),
    )


def _runs_like(engine: Engine, config: RunConfig) -> list[_Past]:
    statement = (
        select(Run.id, Run.config, Run.started_at, Run.ended_at, Run.num_steps)
        .where(
            Run.status == "done",
            Run.attempt == 1,
            Run.config["model"]["kind"].as_string() == config.model.kind,
            Run.config["data"]["kind"].as_string() == config.data.kind,
            Run.config["training"]["batch_size"].as_integer() == config.training.batch_size,
            Run.config["training"]["accumulation_steps"].as_integer()
            == config.training.accumulation_steps,
        )
        .order_by(Run.created_at.desc())
        .limit(NEWEST)
    )
    with engine.connect() as connection:
        rows = connection.execute(statement).all()
    wanted = config.model_dump(mode="json")
    return [
        _Past(run_id, recorded["scheduler"]["kind"], (ended - started).total_seconds() / num_steps)
        for run_id, recorded, started, ended, num_steps in rows
        if started is not None and ended is not None and _is_like(recorded, wanted)
    ]


def _is_like(recorded: dict[str, Any], wanted: dict[str, Any]) -> bool:
    """Settings that a run was recorded without are newer than it, and were as they are now."""
    kinds = {"model": wanted["model"].keys() - _NO_MATTER, "data": _SAME_DATA}
    for section, keys in kinds.items():
        then, now = recorded[section], wanted[section]
        if any(then.get(key, now.get(key)) != now.get(key) for key in keys):
            return False
    then, now = recorded["training"], wanted["training"]
    is_as_precise = then.get("precision", now["precision"]) == now["precision"]
    return bool(is_as_precise and then.get("num_processes", 1) == now["num_processes"])


def _step_s(engine: Engine, run_ids: list[str]) -> float | None:
    mean = func.avg(Metric.step_s)
    statement = select(mean).where(Metric.run_id.in_(run_ids)).group_by(Metric.run_id)
    with engine.connect() as connection:
        means = [float(one) for one in connection.scalars(statement) if one is not None]
    return median(means) if means else None
