"""The built-in comparison: what ``rankscope demo`` launches, and what it says of the result."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from sqlalchemy import Engine

from rankscope.models.budgets import RankBudget
from rankscope.models.config import RunConfig
from rankscope.models.inventory import Part
from rankscope.models.presets import preset
from rankscope.models.schedulers import AnyScheduler
from rankscope.models.schedulers.adalora import AdaLora
from rankscope.models.schedulers.hydra import Hydra
from rankscope.models.schedulers.uniform import Uniform
from rankscope.storage import history
from rankscope.storage.intervals import over_seeds_and_items, wilson

NOTICE = (
    "This is a demonstration and no evidence: one task, few seeds, a small model. Each scheduler "
    "trains at the rate that was best for it on validation, with as many trials as the others; "
    "docs/results.md says how schedulers are compared in earnest, and what that does not show."
)
SEEDS = (0, 1, 2)


class Arm(NamedTuple):
    """A scheduler at the learning rate that suits it."""

    scheduler: AnyScheduler
    rate: float


# The best of six trials each on validation, for the task `answers` at this budget; a test holds
# them to benchmarks/winners.yaml, and the rest to benchmarks/protocol.yaml.
ARMS = (
    Arm(Uniform(), 0.009),
    Arm(Hydra(offline="embedded-without-words"), 0.009),
    Arm(AdaLora(), 0.0145),
)
NUM_STEPS = 150
PARTS: frozenset[Part] = frozenset({"language", "vision"})
WARMUP_FRACTION = 0.1
BUDGET = RankBudget(value=2)
"""The larger one of the protocol: at rank 1 moves are few."""
TEST_ITEMS = 1024
"""Enough for an interval of 3 points at most either side, in 2 s of scoring on one core."""
CHECKPOINT_S = 4.0
"""A run takes some 15 s; one whose process is killed should not begin again from its start."""
NUM_SCORES = 6
"""On validation during training: points of a live curve."""


def configs() -> list[RunConfig]:
    """One configuration per arm, alike but for scheduler and rate; seeds are given at launch."""
    return [_config(arm) for arm in ARMS]


def result_of(engine: Engine, run_ids: Sequence[str]) -> dict[str, Any]:
    """What one arm's runs reached, as JSON; of runs without a score only the ids count."""
    summaries = [history.summary(engine, run_id) for run_id in run_ids]
    correct = [bits for run_id in run_ids if (bits := _test_score(engine, run_id)) is not None]
    before = [s.accuracy_before for s in summaries if s.accuracy_before is not None]
    answer: dict[str, Any] = {
        "scheduler": summaries[0].scheduler,
        "seeds": len(run_ids),
        "budget_params": summaries[0].budget_params,
        "max_live_params": max((s.max_live_params or 0 for s in summaries), default=0),
        "rank_events": sum(s.rank_events for s in summaries),
        "params_moved": sum(s.params_moved for s in summaries),
        "accuracy_before": float(np.mean(before)) if before else None,
        "accuracy_mean": None,
        "accuracy_ci95": None,
        "ci_basis": None,
        "items": len(correct[0]) if correct else None,
    }
    if len(correct) == 1:
        interval, basis = wilson(float(correct[0].mean()), len(correct[0])), "items"
    elif correct:
        interval, basis = over_seeds_and_items(np.stack(correct)), "items+seeds"
    else:
        return answer
    return answer | {
        "accuracy_mean": interval.mean,
        "accuracy_ci95": [interval.low, interval.high],
        "ci_basis": basis,
    }


def _config(arm: Arm) -> RunConfig:
    base = preset("demo").config
    return base.model_copy(
        update={
            "name": f"demo: {arm.scheduler.kind}",
            "tags": ("demo",),
            "scheduler": arm.scheduler,
            "optimizer": base.optimizer.model_copy(update={"lr": arm.rate}),
            "lora": base.lora.model_copy(update={"parts": PARTS}),
            "budget": BUDGET,
            "training": base.training.model_copy(
                update={"steps": NUM_STEPS, "warmup_fraction": WARMUP_FRACTION}
            ),
            "evaluation": base.evaluation.model_copy(
                update={
                    "every_steps": NUM_STEPS // NUM_SCORES,
                    "test_items": TEST_ITEMS,
                    "shuffled_images": False,
                }
            ),
            "checkpoint": base.checkpoint.model_copy(update={"every_s": CHECKPOINT_S}),
        }
    )


def _test_score(engine: Engine, run_id: str) -> npt.NDArray[np.bool_] | None:
    """Correctness of the run's test items after training."""
    scores = history.evaluations(engine, run_id)
    found = [s.correct for s in scores if (s.part, s.when) == ("test", "after")]
    return found[-1] if found else None
