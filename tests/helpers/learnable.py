"""Runs of the embedded model that are done, with ranks whose worth is known, written at once."""

import time
from collections.abc import Mapping

import numpy as np
from sqlalchemy import Engine

from rankscope.models.events import Evaluated, Event, RanksChanged, StatusChanged, StepDone
from rankscope.models.inventory import Inventory
from rankscope.models.reading import parse_config
from rankscope.storage.database import writing
from rankscope.storage.ids import event_id
from rankscope.storage.recording import NumberedEvent, Writer, record
from rankscope.storage.runs import begin_attempt, create_run, set_inventory
from rankscope.tasks.client import inventory_of

TASKS: tuple[Mapping[str, object], ...] = (
    {"kind": "easy_vqa"},
    {"kind": "scenes", "task": "answers"},
    {"kind": "scenes", "task": "textures"},
)
"""Of the families easy-vqa, words and look."""

NUM_STEPS = 4


def config_of(task: Mapping[str, object], **changes: object) -> dict[str, object]:
    """A config that adapts the language model's linears at rank 1."""
    return {"data": dict(task), "training": {"steps": NUM_STEPS}, **changes}


def record_learnable(engine: Engine, *, num_runs: int = 12, seed: int = 0) -> list[str]:
    """Per task ``num_runs`` random allocations at two seeds; later layers and MLPs are worth more.

    Returns:
        The runs' ids.
    """
    rng = np.random.default_rng(seed)
    ids = []
    for task in TASKS:
        for draw in range(num_runs):
            config = config_of(
                task, seed=draw % 2, scheduler={"kind": "random", "draw": 1000 * seed + draw}
            )
            inventory = inventory_of(parse_config(config))
            worth_M = [
                0.02 * np.exp(0.4 * m.layer + (m.type.endswith(("up_proj", "down_proj"))))
                for m in inventory.modules
            ]
            size = len(inventory.modules)
            ranks_M = rng.multinomial(size, rng.dirichlet(np.full(size, 0.3)))
            loss = float(np.exp(1 - np.log1p(ranks_M) @ worth_M + 0.01 * rng.normal()))
            names = [m.name for m in inventory.modules]
            ranks = dict(zip(names, ranks_M.tolist(), strict=True))
            ids.append(record_done(engine, config, inventory, [(0, ranks)], loss))
    return ids


def record_done(
    engine: Engine,
    config: Mapping[str, object],
    inventory: Inventory,
    ranks: list[tuple[int, dict[str, int]]],
    loss: float | None,
) -> str:
    """One run that is done.

    Args:
        engine: The database.
        config: Raw.
        inventory: What it adapts.
        ranks: Steps and the ranks set there, the first at step 0 and of all modules.
        loss: On validation after the last step; None where it was not scored.
    """
    run_id = create_run(engine, parse_config(dict(config)), origin="foreground", owner="ada")
    set_inventory(engine, run_id, inventory, budget_params=inventory.params_per_rank)
    attempt = begin_attempt(engine, run_id, worker_id=None, lease_s=30.0)
    now = time.time()
    events: list[Event] = [
        RanksChanged(
            step=step, time=now, ranks=some, cause="scheduler", moved_params=0, live_params=0
        )
        for step, some in ranks
    ]
    events += [
        StepDone(step=step, time=now, loss=1.0, lr=0.01, step_s=0.5)
        for step in range(1, NUM_STEPS + 1)
    ]
    if loss is not None:
        events.append(
            Evaluated(
                step=NUM_STEPS,
                time=now,
                part="validation",
                when="during",
                accuracy=0.5,
                accuracy_by_skill={},
                correct=(True, False),
                loss=loss,
                duration_s=0.1,
            )
        )
    events.append(StatusChanged(step=NUM_STEPS, time=now, status="done"))
    index_of = {module.name: place for place, module in enumerate(inventory.modules)}
    numbered = [NumberedEvent(event_id(attempt, i + 1), event) for i, event in enumerate(events)]
    with writing(engine) as connection:
        writer = Writer(run_id, attempt, index_of, lease_s=30.0)
        record(connection, writer, numbered, has_ended=False)
    return run_id
