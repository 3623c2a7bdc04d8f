"""How long runs like this one took, as recorded."""

from statistics import median
from typing import NamedTuple

from sqlalchemy import Engine, select

from rankscope.models.config import RunConfig
from rankscope.storage.tables import Run

NEWEST = 50
"""Machines change: older runs say little about the next one."""


class Pace(NamedTuple):
    """Time per optimizer step with all that belongs to a run: start, measurements, scores."""

    seconds_per_step: float
    num_runs: int
    is_same_scheduler: bool


def recorded_pace(engine: Engine, config: RunConfig) -> Pace | None:
    """Median over finished runs of the same model, data set and items per step, if there are any.

    Those with the same scheduler count alone where there are some. Runs that were interrupted are
    left out: they also waited.
    """
    statement = (
        select(
            Run.config["scheduler"]["kind"].as_string(),
            Run.started_at,
            Run.ended_at,
            Run.num_steps,
        )
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
    paces = [
        (scheduler, (ended - started).total_seconds() / num_steps)
        for scheduler, started, ended, num_steps in rows
        if started is not None and ended is not None
    ]
    own = [pace for scheduler, pace in paces if scheduler == config.scheduler.kind]
    chosen = own or [pace for _, pace in paces]
    return Pace(median(chosen), len(chosen), bool(own)) if chosen else None
