"""A small protocol: two tasks, one of them sealed, and records as its runs would leave them."""

from typing import Any

import numpy as np

from benchmarks.science.protocol import Cell, Protocol
from benchmarks.science.records import Record

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
    "tuning": {"budget": 1, "seeds": [100]},
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
