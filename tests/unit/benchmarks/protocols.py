"""A small protocol: tasks, one of them sealed, and records as its runs would leave them."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.science import presets
from benchmarks.science.protocol import Cell, Protocol
from benchmarks.science.records import Record
from benchmarks.science.results import compared
from benchmarks.science.tuning import choose

SMALL_DATA = {"train_items": 32, "probe_items": 32, "validation_items": 32, "test_items": 1000}
RAW: dict[str, Any] = {
    "sealed_open": False,
    "common": {"training": {"steps": 4, "batch_size": 4}, "evaluation": {"every_steps": 100}},
    "on_validation": {"evaluation": {"validation_items": 16, "test_items": 0}},
    "on_test": {"evaluation": {"validation_items": 0, "test_items": 16}},
    "tasks": {
        "answers": {"family": "words", "data": {"kind": "scenes", **SMALL_DATA}},
        "skills": {"family": "questions", "data": {"kind": "scenes", "task": "skills"}},
        "hidden": {
            "family": "look",
            "sealed": True,
            "data": {"kind": "scenes", "task": "hues"},
        },
    },
    "tuning": {"budgets": [1], "seeds": [100]},
    "grids": {
        "rates": [{"optimizer": {"lr": 0.01}}, {"optimizer": {"lr": 0.02}}],
        "hydra": [
            {"optimizer": {"lr": 0.01}, "scheduler": {"early_lr_factor": 0.5}},
            {"optimizer": {"lr": 0.02}, "scheduler": {"early_lr_factor": 1.0}},
        ],
    },
    "arms": {
        "uniform": {"config": {"scheduler": {"kind": "uniform"}}},
        "mlp only": {"config": {"scheduler": {"kind": "static", "where": "mlp"}}},
        "random": {"config": {"scheduler": {"kind": "random"}}},
        "hydra": {
            "grid": "hydra",
            "config": {"scheduler": {"kind": "hydra", "first_event_fraction": 0.25}},
        },
        "hydra, less": {"like": "hydra", "less_cost_of": "hydra"},
        "mlp only, more": {"like": "mlp only", "plus_cost_of": "hydra"},
        "hydra, undamped": {
            "like": "hydra",
            "config": {"scheduler": {"early_lr_factor": 0.9}},
        },
        "hydra, again": {"like": "hydra", "control": "static"},
        "full": {"over_budget": "a reference", "config": {"scheduler": {"kind": "full"}}},
    },
    "presets": {
        "tune": {"part": "validation", "tasks": ["answers"], "arms": ["uniform", "hydra"]},
        "quick": {
            "part": "test",
            "untuned": True,
            "tasks": ["answers", "hidden"],
            "arms": ["uniform", "hydra", "hydra, again"],
            "budgets": [1],
            "seeds": [0],
        },
        "standard": {
            "part": "test",
            "tasks": ["answers"],
            "arms": ["uniform", "hydra"],
            "budgets": [1],
            "seeds": [0],
        },
    },
}


def protocol(**changes: Any) -> Protocol:
    return Protocol.model_validate(RAW | changes)


def record(cell: Cell, correct: list[bool] | None = None, **changes: Any) -> Record:
    """A run of ten steps of 0.1 s each, which held its budget of 100 parameters."""
    bits = None if correct is None else np.array(correct)
    values: dict[str, Any] = {
        "cell": cell,
        "run": "0123456789",
        "status": "done",
        "reason": "",
        "commit": "commit 0",
        "lr": 0.01,
        "steps": 10,
        "correct_N": bits,
        "accuracy": None if bits is None else float(bits.mean()),
        "loss": None,
        "budget_params": 100,
        "max_live_params": 100,
        "num_over_budget": 0,
        "measurement_s": 0.0,
        "steering_s": 0.0,
        "train_s": 1.0,
        "step_s": 0.1,
        "rank_events": 0,
        "ranks": {"a": 1},
    }
    return Record(**(values | changes))


ARMS = ("uniform", "hydra", "mlp only", "hydra, less", "mlp only, more", "full")
NUM_RIGHT = {"uniform": 4, "hydra": 7, "mlp only": 6, "hydra, less": 6, "mlp only, more": 7}
PICTURES = {"answers": np.arange(10), "skills": np.arange(10)}


def runs() -> list[Record]:
    """Of ten items every arm gets as many right as said, one more with the second seed."""
    return [
        record(
            Cell(task, arm, budget, seed, "test"),
            [i < NUM_RIGHT.get(arm, 8) + seed for i in range(10)],
            steering_s=0.1 if arm == "hydra" else 0.0,
            max_live_params=400 if arm == "full" else 100,
        )
        for task in ("answers", "skills")
        for arm in ARMS
        for budget in (1, 2)
        for seed in (0, 1)
    ]


def trials() -> list[Record]:
    """Two of uniform's, of which the second is better, and two of hydra's, of which one failed."""
    return [
        record(
            Cell("answers", arm, 1, 100, "validation", number),
            None if loss is None else [True, False],
            loss=loss,
            lr=(0.01, 0.02)[number],
            status="failed" if loss is None else "done",
        )
        for arm, losses in (("uniform", (0.5, 0.4)), ("hydra", (0.3, None)))
        for number, loss in enumerate(losses)
    ]


def tuned(home: Path) -> dict[str, Any]:
    """The result of ``trials``, as its file has it."""
    records = trials()
    tasks: dict[str, Any] = {"answers": {}}
    for place, winner in choose(protocol(), records).items():
        tasks["answers"][place.arm] = {f"{place.budget:g}": winner.model_dump()}
    return _kept(home, {"preset": "tune", "part": "validation", "tasks": tasks}, records)


def comparison(home: Path, preset: str = "standard", **changes: Any) -> dict[str, Any]:
    """The result of ``runs``, as its file has it."""
    answer = {"preset": preset, "part": "test", "untuned": [], **changes}
    return _kept(home, answer | compared(protocol(), runs(), PICTURES), runs())


def _kept(home: Path, answer: dict[str, Any], records: list[Record]) -> dict[str, Any]:
    answer |= {"budget_violations": 0, "protocol_sha256": "ab12", "left_out": ["hidden"]}
    presets._keep(presets.Options(answer["preset"], home, 1), answer, records)
    path = home / f"science-{answer['preset']}.json"
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found
