"""How long the next run may take, from those that are recorded."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine, insert, update

from rankscope.models.config import RunConfig
from rankscope.models.reading import parse_config
from rankscope.storage.database import writing
from rankscope.storage.durations import Pace, recorded_pace
from rankscope.storage.runs import create_run
from rankscope.storage.tables import Metric, Run


def config(scheduler: str = "uniform", batch_size: int = 16) -> RunConfig:
    return parse_config(
        {
            "data": {"kind": "scenes"},
            "scheduler": {"kind": scheduler},
            "training": {"steps": 100, "batch_size": batch_size},
        }
    )


def record(engine: Engine, of: RunConfig, seconds: float, **changes: object) -> str:
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
    return run_id


def test_nothing_is_told_without_a_finished_run_like_it(engine: Engine) -> None:
    record(engine, config(batch_size=8), 10)
    record(engine, config(), 10, status="failed")
    record(engine, config(), 10, attempt=2)
    assert recorded_pace(engine, config()) is None


def test_the_median_of_runs_with_the_same_scheduler_counts(engine: Engine) -> None:
    for seconds in (10, 20, 90):
        record(engine, config(), seconds)
    record(engine, config("hydra"), 50)
    assert recorded_pace(engine, config()) == Pace(0.2, 3, True, 0.1, 0.9, None)
    assert recorded_pace(engine, config("hydra")) == Pace(0.5, 1, True, 0.5, 0.5, None)


def test_without_the_scheduler_the_others_count(engine: Engine) -> None:
    for scheduler, seconds in (("uniform", 10), ("hydra", 30)):
        record(engine, config(scheduler), seconds)
    assert recorded_pace(engine, config("adalora")) == Pace(0.2, 2, False, 0.1, 0.3, None)


def test_steps_alone_are_told_where_they_were_recorded(engine: Engine) -> None:
    """Means of 0.05 and 0.15 s; a run without steps says nothing of them."""
    for seconds, steps in ((10, (0.04, 0.06)), (20, (0.15, None)), (30, ())):
        run_id = record(engine, config(), seconds)
        with writing(engine) as connection:
            for step, step_s in enumerate(steps, start=1):
                row = {"run_id": run_id, "step": step, "step_s": step_s, "time": 0.0}
                connection.execute(insert(Metric).values(row))
    pace = recorded_pace(engine, config())
    assert pace is not None
    assert pace.num_runs == 3
    assert pace.step_s == pytest.approx(0.1)


@pytest.mark.parametrize(
    "changes",
    [
        {"training": {"steps": 100, "batch_size": 16, "precision": "bf16"}},
        {"data": {"kind": "files", "path": "b.json"}},
        {"model": {"kind": "mobilevlm", "size": "v1_3b"}},
        {"model": {"kind": "mobilevlm", "gradient_checkpointing": True}},
    ],
)
def test_another_model_data_set_or_precision_says_nothing(
    engine: Engine, changes: dict[str, object]
) -> None:
    base: dict[str, object] = {
        "model": {"kind": "mobilevlm"},
        "data": {"kind": "files", "path": "a.json"},
        "training": {"steps": 100, "batch_size": 16},
    }
    record(engine, parse_config(base), 10)
    assert recorded_pace(engine, parse_config(base)) is not None
    assert recorded_pace(engine, parse_config(base | changes)) is None
