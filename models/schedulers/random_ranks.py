"""Ranks drawn at random: how far an allocation gets by luck alone.

Shape letters: M modules.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from pydantic import Field
from typing_extensions import override

from rankscope.models.inventory import FloatArray, IntArray
from rankscope.models.schedulers.allocation import (
    allocate,
    bounds_of,
    check_bounds,
    costs_of,
    in_order,
    log_gains,
    multiple_of,
)
from rankscope.models.schedulers.contract import (
    Apply,
    Decision,
    Memory,
    ModuleState,
    RankPlanner,
    Reason,
    View,
)
from rankscope.models.schedulers.performance.effects import design_of, effects_of

EFFECT_SDS = {"level": 0.0, "part": 0.5, "layer": 0.6, "type": 0.6, "cell": 0.3}
"""Of the drawn log utilities: at rank 1 about half of the modules change rank."""


class RandomRanks(RankPlanner):
    """Share the budget at random; several draws with a run's seed differ in nothing but the ranks.

    ``modules``: uniformly on the simplex, single steps use up the rest. ``groups``: the exact
    optimum for drawn utilities, in which parts, layers and types go together; such runs teach the
    offline performance model more than as many of the other kind.
    """

    kind: Literal["random"] = "random"
    draw: int = Field(
        0, ge=0, lt=2**32, description="Number of the draw; another one, other ranks."
    )
    by: Literal["modules", "groups"] = Field(
        "modules",
        title="Drawn by",
        description="Every module for itself, or parts, layers and types together.",
    )

    @override
    def plan(self, view: View, memory: Memory) -> tuple[Decision, Memory]:
        modules = in_order(view.modules)
        low_M, high_M = bounds_of(modules)
        rng = np.random.default_rng([view.seed, self.draw])
        multiple = multiple_of(modules)
        costs_M = costs_of(modules)
        if self.by == "modules":
            ranks_M = _draw(costs_M, view.budget, low_M, high_M, multiple, rng)
        else:
            ranks_M = allocate(
                log_gains(_drawn_utilities(modules, rng), high_M),
                costs_M,
                view.budget,
                min_ranks_M=low_M,
                max_ranks_M=high_M,
                multiple=multiple,
            )
        ranks = {m.name: int(r) for m, r in zip(modules, ranks_M, strict=True)}
        reason = Reason(text=f"drawn at random (draw {self.draw}, seed {view.seed})")
        return Apply(ranks=ranks, reasons=dict.fromkeys(ranks, reason), reason=reason.text), memory


def _drawn_utilities(modules: Sequence[ModuleState], rng: np.random.Generator) -> FloatArray:
    """utilities_M around those of which uniform ranks are the optimum, in proportion to cost."""
    effects_D = np.array(
        [EFFECT_SDS[effect.kind] * rng.standard_normal() for effect in effects_of(modules)]
    )
    utilities_M: FloatArray = costs_of(modules) * np.exp(design_of(modules) @ effects_D)
    return utilities_M


def _draw(
    costs_M: IntArray,
    budget: int,
    low_M: IntArray,
    high_M: IntArray,
    multiple: int,
    rng: np.random.Generator,
) -> IntArray:
    """ranks_M within the bounds; no further step of ``multiple`` ranks fits the budget."""
    check_bounds(costs_M, budget, low_M, high_M)
    free = budget - int(costs_M @ low_M)
    # Flat on the simplex (Dirichlet with all parameters 1), by normalised exponentials.
    weights_M = rng.exponential(size=costs_M.size)
    steps_M = costs_M * multiple
    whole_M = np.floor(free * weights_M / weights_M.sum() / steps_M).astype(np.int64)
    ranks_M: IntArray = np.minimum(low_M + whole_M * multiple, high_M)
    left = budget - int(costs_M @ ranks_M)
    open_M = rng.permutation(costs_M.size)
    while open_M.size:
        fitting = []
        for row in open_M:
            if steps_M[row] <= left and ranks_M[row] < high_M[row]:
                ranks_M[row] += multiple
                left -= int(steps_M[row])
                fitting.append(row)
        open_M = rng.permutation(fitting)
    return ranks_M
