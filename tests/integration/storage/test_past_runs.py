"""Recorded runs as they are handed to learning."""

from collections.abc import Mapping
from datetime import UTC, datetime

import numpy as np
import pytest
from sqlalchemy import Engine

from rankscope.models.inventory import Inventory
from rankscope.models.reading import parse_config
from rankscope.models.schedulers.offline.past_runs import PastRun
from rankscope.storage.past_runs import Material, num_done, past_runs, recorded_architectures
from rankscope.tasks.client import inventory_of
from tests.helpers.learnable import NUM_STEPS, TASKS, config_of, record_done

ANSWERS = TASKS[1]


def inventory(**changes: object) -> Inventory:
    return inventory_of(parse_config(config_of(ANSWERS, **changes)))


def every(rank: int) -> dict[str, int]:
    return {module.name: rank for module in inventory().modules}


def record(
    engine: Engine,
    *,
    ranks: list[tuple[int, dict[str, int]]] | None = None,
    loss: float | None = 0.5,
    task: Mapping[str, object] = ANSWERS,
    **changes: object,
) -> str:
    config = config_of(task, **changes)
    return record_done(engine, config, inventory(), ranks or [(0, every(1))], loss)


def material(engine: Engine) -> Material:
    (architecture,) = recorded_architectures(engine)
    return past_runs(engine, architecture)


def only(engine: Engine) -> PastRun:
    (run,) = material(engine).runs
    return run


def test_a_run_is_what_it_recorded(engine: Engine) -> None:
    run_id = record(engine, seed=7, scheduler={"kind": "static", "where": "late"})
    run = only(engine)
    assert (run.id, run.family, run.seed, run.rule) == (run_id, "words", 7, "late")
    assert (run.loss, run.num_items, run.train_s) == (0.5, 2, 0.5 * NUM_STEPS)


def test_ranks_are_averaged_over_the_steps(engine: Engine) -> None:
    """Of four steps one at rank 1 and three at rank 3 for one module."""
    name = inventory().modules[4].name
    record(engine, ranks=[(0, every(1)), (1, {name: 3})])
    log_ranks = dict(only(engine).log_ranks)
    assert log_ranks.pop(name) == pytest.approx((np.log(2) + 3 * np.log(4)) / 4)
    assert set(log_ranks.values()) == {np.log(2)}


def test_runs_compare_across_seeds_schedulers_and_names_but_not_other_settings(
    engine: Engine,
) -> None:
    record(engine)
    record(engine, seed=3)
    record(engine, name="other", tags=["a"])
    record(engine, scheduler={"kind": "static"})
    record(engine, evaluation={"test_items": 0})
    assert len({run.group for run in material(engine).runs}) == 1
    record(engine, optimizer={"lr": 0.02})
    record(engine, training={"steps": NUM_STEPS, "batch_size": 8})
    record(engine, task={"kind": "scenes", "task": "answers", "seed": 1})
    assert len({run.group for run in material(engine).runs}) == 4
    assert len({run.task for run in material(engine).runs}) == 2


def test_runs_done_are_counted_by_architecture_and_time(engine: Engine) -> None:
    assert num_done(engine) == 0
    record(engine)
    between = datetime.now(UTC)
    record(engine)
    (architecture,) = recorded_architectures(engine)
    assert num_done(engine) == num_done(engine, architecture) == 2
    assert num_done(engine, architecture, since=between) == 1
    assert num_done(engine, architecture, since=datetime.now(UTC)) == 0


def test_what_says_nothing_about_ranks_is_left_out_with_its_reason(engine: Engine) -> None:
    record(engine)
    unscored = record(engine, loss=None)
    itself = record(engine, scheduler={"kind": "adalora"})
    late = record(engine, ranks=[(0, every(2)), (NUM_STEPS, every(1))])
    assert material(engine).left_out == {
        unscored: "no loss on validation after its last step",
        itself: "its scheduler adalora trains by itself",
        late: "its ranks changed after its last step",
    }


def test_the_architecture_with_most_runs_comes_first(engine: Engine) -> None:
    both = config_of(ANSWERS, lora={"parts": ["language", "vision"]})
    wider = inventory_of(parse_config(both))
    ranks = {module.name: 1 for module in wider.modules}
    record(engine)
    for _ in range(2):
        record_done(engine, both, wider, [(0, ranks)], 0.5)
    first, second = recorded_architectures(engine)
    assert (first.num_runs, second.num_runs) == (2, 1)
    assert first.modules == wider.modules
    assert len(past_runs(engine, first).runs) == 2
