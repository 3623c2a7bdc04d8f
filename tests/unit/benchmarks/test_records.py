"""What a run's decisions cost, read from when it said what."""

from pathlib import Path

import pytest
from sqlalchemy import Engine

from benchmarks.science.protocol import Cell
from benchmarks.science.records import TRAINING_BEGINS, record_of, steering_s
from rankscope.models.events import (
    Decided,
    Evaluated,
    Event,
    LogLine,
    ParamsSampled,
    RanksChanged,
    StatusChanged,
    StepDone,
)
from rankscope.models.inventory import AdaptableModule, Inventory
from rankscope.models.reading import parse_config
from rankscope.models.schedulers.contract import Keep, View
from rankscope.storage.database import migrate, open_database
from rankscope.storage.runs import begin_attempt, create_run
from rankscope.storage.sink import Sink

INVENTORY = Inventory(
    modules=(
        AdaptableModule(name="layers.0.q", part="language", layer=0, type="q", d_in=8, d_out=8),
    ),
    total_params=100,
)


def told(home: Path, events: list[Event]) -> tuple[Engine, str]:
    """A run that said this, with a budget of 16 parameters."""
    engine = open_database(f"sqlite:///{home}/rankscope.db")
    migrate(engine)
    config = parse_config({"data": {"kind": "easy_vqa"}, "tags": ["commit abc"]})
    run = create_run(
        engine, config, origin="external", owner="test", inventory=INVENTORY, budget_params=16
    )
    attempt = begin_attempt(engine, run, worker_id=None, lease_s=30.0)
    with Sink(engine, run, attempt, INVENTORY, flush_s=0.01) as sink:
        for event in events:
            sink.emit(event)
    return engine, run


def decided(step: int, time: float) -> Decided:
    view = View(step=step, num_steps=5, budget=16, seed=0, modules=())
    return Decided(step=step, time=time, view=view, decision=Keep(reason="none"))


def step(number: int, time: float) -> StepDone:
    return StepDone(step=number, time=time, loss=1.0, lr=0.01, step_s=0.5)


def test_pauses_beyond_the_usual_and_the_start_are_what_decisions_cost(tmp_path: Path) -> None:
    """Steps of 0.5 s with pauses of 0.1 s; after step 2 the pause is 0.9 s.

    0.8 s there, and 2 s from the first count at 10 to the word that training begins at 12.
    """
    engine, run = told(
        tmp_path,
        [
            ParamsSampled(step=0, time=10.0, live_params=16, sample=0),
            decided(0, 11.5),
            LogLine(step=0, time=12.0, level="info", text=TRAINING_BEGINS),
            step(1, 12.5),
            step(2, 13.1),
            decided(2, 13.9),
            step(3, 14.5),
            step(4, 15.1),
            step(5, 15.7),
        ],
    )
    assert steering_s(engine, run) == pytest.approx(2.8)


def test_who_decides_nothing_costs_nothing(tmp_path: Path) -> None:
    engine, run = told(tmp_path, [step(1, 1.0), step(2, 9.0)])
    assert steering_s(engine, run) == 0.0


def test_a_record_counts_every_sample_above_the_budget(tmp_path: Path) -> None:
    engine, run = told(
        tmp_path,
        [
            ParamsSampled(step=0, time=0.0, live_params=16, sample=0),
            RanksChanged(
                step=0,
                time=0.0,
                ranks={"layers.0.q": 1},
                cause="start",
                moved_params=0,
                live_params=16,
            ),
            step(1, 1.0),
            ParamsSampled(step=1, time=1.5, live_params=32, sample=1),
            ParamsSampled(step=1, time=1.5, live_params=17, sample=2),
            Evaluated(
                step=1,
                time=2.0,
                part="validation",
                when="during",
                accuracy=0.5,
                accuracy_by_skill={},
                correct=(True, False),
                loss=0.25,
                duration_s=0.1,
            ),
            StatusChanged(step=1, time=3.0, status="done"),
        ],
    )
    found = record_of(engine, Cell("answers", "uniform", 1, 0, "validation"), run)
    assert (found.num_over_budget, found.max_live_params, found.budget_params) == (2, 32, 16)
    assert (found.accuracy, found.loss, found.status) == (0.5, 0.25, "done")
    assert (found.ranks, found.commit, found.step_s) == ({"layers.0.q": 1}, "commit abc", 0.5)
    unscored = record_of(engine, Cell("answers", "uniform", 1, 0, "test"), run)
    assert (unscored.accuracy, unscored.correct_N) == (None, None)
