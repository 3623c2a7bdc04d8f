"""How long the next run may take, from those that are recorded."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import Engine, update

from rankscope.models.config import RunConfig
from rankscope.models.reading import parse_config
from rankscope.storage.database import writing
from rankscope.storage.durations import Pace, recorded_pace
from rankscope.storage.runs import create_run
from rankscope.storage.tables import Run


def config(scheduler: str = "uniform", batch_size: int = 16) -> RunConfig:
    return parse_config(
        {
            "data": {"kind": "scenes"},
            "scheduler": {"kind": scheduler},
            "training": {"steps": 100, "batch_size": batch_size},
        }
    )


def record(engine: Engine, of: RunConfig, seconds: float, **changes: object) -> None:
    run_id = create_run(engine, of, origin="foreground", owner="ada")
    start = datetime.now(UTC)
    values = {
        "status": "done",
        "attempt": 1,
        "started_at": start,
        "ended_at": start + timedelta(seconds=seconds),
    }
    with writing(engine) as connection:
        connection.execute(update(Run).where(Run.id == run_id).values(values | changes))


def test_nothing_is_told_without_a_finished_run_like_it(engine: Engine) -> None:
    record(engine, config(batch_size=8), 10)
    record(engine, config(), 10, status="failed")
    record(engine, config(), 10, attempt=2)
    assert recorded_pace(engine, config()) is None


def test_the_median_of_runs_with_the_same_scheduler_counts(engine: Engine) -> None:
    for seconds in (10, 20, 90):
        record(engine, config(), seconds)
    record(engine, config("hydra"), 50)
    assert recorded_pace(engine, config()) == Pace(0.2, 3, is_same_scheduler=True)
    assert recorded_pace(engine, config("hydra")) == Pace(0.5, 1, is_same_scheduler=True)


def test_without_the_scheduler_the_others_count(engine: Engine) -> None:
    for scheduler, seconds in (("uniform", 10), ("hydra", 30)):
        record(engine, config(scheduler), seconds)
    assert recorded_pace(engine, config("adalora")) == Pace(0.2, 2, is_same_scheduler=False)
