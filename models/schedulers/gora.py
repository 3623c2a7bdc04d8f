"""GoRA's rank rule: shares of weight times gradient, decided once before training.

Shape letters: M modules.
"""

from collections.abc import Callable
from typing import Literal

import numpy as np
from pydantic import ConfigDict, Field
from typing_extensions import override

from rankscope.models.inventory import IntArray
from rankscope.models.schedulers.allocation import (
    allocate,
    bounds_of,
    costs_of,
    in_order,
    log_gains,
    multiple_of,
)
from rankscope.models.schedulers.contract import (
    Apply,
    Decision,
    Keep,
    Measure,
    Memory,
    ModuleState,
    RankPlanner,
    Reason,
    View,
    WeightSensitivity,
    WeightSensitivityResult,
)


class Gora(RankPlanner):
    """Give every module a share of the budget as large as its share of the mean |W * G|.

    One shot at step 0 from the mean gradient G over ``num_items`` probe items. With c the
    parameters of one unit of rank, r_eq the budget's equal rank and S = r_eq sum(sqrt c), GoRA's
    rule is r = round(S share) // sqrt(c), clipped to ``lowest_factor`` .. ``highest_factor`` times
    r_eq. That spends anything but the budget: widths enter by their root, and clipping moves the
    sum. So S is scaled to the largest value that keeps the budget, and what rounding leaves over
    buys single steps by the same shares.

    Left out: GoRA also starts B from G by a pseudo-inverse, which no planner can; B starts at 0.

    Source: He et al. 2025, arXiv 2502.12171, and its code's defaults "union_mean" and "moderate";
        its least and largest ranks are 4 and 32 for 8.
    """

    model_config = ConfigDict(title="GoRA")

    kind: Literal["gora"] = "gora"
    num_items: int = Field(96, ge=1, le=65536, description="Probe items of the mean gradient.")
    lowest_factor: float = Field(
        0.5, ge=0, le=1, description="Least rank over the budget's equal rank, rounded down."
    )
    highest_factor: float = Field(
        4.0, ge=1, le=64, description="Largest rank over the budget's equal rank, rounded up."
    )

    @property
    @override
    def most_probe_items(self) -> int:
        return self.num_items

    @override
    def plan(self, view: View, memory: Memory) -> tuple[Decision, Memory]:
        results = [r for r in view.measurements if isinstance(r, WeightSensitivityResult)]
        if not results:
            return Measure(requests=(WeightSensitivity(num_items=self.num_items),)), memory
        return self._allocated(view, results[0].sensitivity), memory

    def _allocated(self, view: View, sensitivity: dict[str, float]) -> Decision:
        modules = in_order(view.modules)
        sensitivity_M = np.array([sensitivity.get(m.name, np.nan) for m in modules])
        for module, value in zip(modules, sensitivity_M, strict=True):
            if not np.isfinite(value) or value < 0:
                return Keep(reason=f"no usable sensitivity: {module.name} has {value}")
        if not sensitivity_M.any():
            return Keep(reason="no usable sensitivity: it is 0 in every module")
        share_M = sensitivity_M / sensitivity_M.max()  # the sum of huge ones may overflow
        share_M /= share_M.sum()
        costs_M = costs_of(modules)
        low_M, high_M = self._bounds(modules, view.budget)
        width_M = np.sqrt(costs_M)
        own_scale = view.budget / costs_M.sum() * width_M.sum()
        multiple = multiple_of(modules)

        def rule(scale: float) -> IntArray:
            steps_M = np.round(scale * share_M) // (width_M * multiple)
            ranks_M: IntArray = np.clip(steps_M * multiple, low_M, high_M).astype(np.int64)
            return ranks_M

        fitting_M = _largest_within(rule, own_scale, costs_M, view.budget)
        ranks_M = allocate(
            # u log(1 + r) with u = share sqrt(c) has its optimum at r ~ share / sqrt(c).
            log_gains(share_M * width_M, high_M),
            costs_M,
            view.budget,
            min_ranks_M=fitting_M,
            max_ranks_M=high_M,
            multiple=multiple,
        )
        own = int(costs_M @ rule(own_scale))
        return Apply(
            ranks={m.name: int(r) for m, r in zip(modules, ranks_M, strict=True)},
            reasons={
                m.name: Reason(text=f"{share:.1%} of the mean |W * G|")
                for m, share in zip(modules, share_M, strict=True)
            },
            reason=f"shared by mean |W * G|; unscaled, GoRA's rule would spend {own:,} parameters "
            f"of {view.budget:,}",
        )

    def _bounds(self, modules: tuple[ModuleState, ...], budget: int) -> tuple[IntArray, IntArray]:
        """The run's bounds narrowed to GoRA's where the budget pays for its least ranks."""
        low_M, high_M = bounds_of(modules)
        costs_M, multiple = costs_of(modules), multiple_of(modules)
        equal = budget / costs_M.sum() / multiple
        least = int(np.floor(self.lowest_factor * equal)) * multiple
        most = int(np.ceil(self.highest_factor * equal)) * multiple
        own_low_M = np.clip(least, low_M, high_M)
        if costs_M @ own_low_M > budget:
            own_low_M = low_M
        return own_low_M, np.clip(most, own_low_M, high_M)


def _largest_within(
    rule: Callable[[float], IntArray], scale: float, costs_M: IntArray, budget: int
) -> IntArray:
    """The ranks of the largest scale that keeps the budget, to the precision of a float.

    ``rule`` must never lower a rank when the scale rises; at 0 it gives the least ranks.
    """

    def fits(ranks_M: IntArray) -> bool:
        return int(costs_M @ ranks_M) <= budget

    below, above = 0.0, scale
    for _ in range(64):  # doublings: beyond, every module with a share has its largest rank
        if not fits(rule(above)):
            break
        below, above = above, 2 * above
    for _ in range(64):
        middle = (below + above) / 2
        below, above = (middle, above) if fits(rule(middle)) else (below, middle)
    return rule(below)
