"""A fake training shell and a small inventory, shared by the scheduler tests."""

import json
import random
from collections.abc import Callable, Sequence
from typing import NamedTuple

import pytest

from rankscope.models.schedulers.allocation import uniform_ranks
from rankscope.models.schedulers.contract import (
    Apply,
    Decision,
    Measure,
    MeasurementRequest,
    MeasurementResult,
    Memory,
    ModuleState,
    RankPlanner,
    View,
)
from rankscope.models.schedulers.offline.model import OfflineModel

EMBEDDED_TYPES = {
    "q_proj": 128,
    "k_proj": 128,
    "v_proj": 128,
    "o_proj": 128,
    "gate_proj": 256,
    "up_proj": 256,
    "down_proj": 256,
}
"""Types of the embedded model's language layers with their other dimension beside 128."""


def with_statistics(module: ModuleState, planner: RankPlanner, step: int) -> ModuleState:
    """The module with what the planner needs, the same at every call."""
    draw = random.Random(f"{module.name} {step}")
    values = [
        draw.choice([1.0, draw.random(), draw.random(), 10.0 * draw.random()])
        for _ in range(module.rank)
    ]
    statistics = {"saliency": tuple(values), "singular_values": tuple(sorted(values, reverse=True))}
    return module.model_copy(update={name: statistics[name] for name in planner.needs})


Answer = Callable[[View, MeasurementRequest], MeasurementResult]


class Decided(NamedTuple):
    """One call of ``plan`` that was no question, with what the planner had seen."""

    view: View
    memory: Memory
    decision: Decision


@pytest.fixture(scope="session")
def embedded() -> tuple[ModuleState, ...]:
    """42 modules of 6 layers and 7 types at rank 1, as in the embedded model."""
    return tuple(
        ModuleState(
            name=f"model.layers.{layer}.{'mlp' if width == 256 else 'self_attn'}.{kind}",
            part="language",
            layer=layer,
            type=kind,
            d_in=128,
            d_out=width,
            rank=1,
            min_rank=0,
            max_rank=16,
        )
        for layer in range(6)
        for kind, width in EMBEDDED_TYPES.items()
    )


@pytest.fixture(scope="session")
def drive() -> Callable[..., list[Decided]]:
    """Run a planner over all its decision steps; measurements come from ``answer``.

    Statistics are drawn anew at every step, a quarter of them equal.
    """

    def run(
        planner: RankPlanner,
        modules: Sequence[ModuleState],
        budget: int,
        answer: Answer,
        num_steps: int = 100,
        offline: OfflineModel | None = None,
    ) -> list[Decided]:
        start = uniform_ranks(modules, budget)
        modules = [m.model_copy(update={"rank": start[m.name]}) for m in modules]
        memory: Memory = {}
        decided = []
        for step in planner.decision_steps(num_steps):
            view = View(
                step=step,
                num_steps=num_steps,
                budget=budget,
                seed=0,
                modules=tuple(with_statistics(m, planner, step) for m in modules),
                train_loss=3.0 - step / num_steps if step else None,
                offline=offline,
            )
            for _ in range(4):
                before = memory
                decision, memory = planner.plan(view, before)
                memory = json.loads(json.dumps(memory, allow_nan=False))
                if not isinstance(decision, Measure):
                    break
                results = tuple(answer(view, request) for request in decision.requests)
                view = view.model_copy(update={"measurements": view.measurements + results})
            decided.append(Decided(view, before, decision))
            if isinstance(decision, Apply):
                ranks = decision.ranks
                modules = [
                    m.model_copy(update={"rank": ranks.get(m.name, m.rank)}) for m in modules
                ]
        return decided

    return run
