"""Ranks from the gradients of the untouched model, decided once before training.

Shape letters: M modules.
"""

from typing import Literal

import numpy as np
from pydantic import Field
from typing_extensions import override

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
    GradientEnergy,
    GradientEnergyResult,
    Keep,
    Measure,
    Memory,
    RankPlanner,
    Reason,
    View,
)


class Gradient(RankPlanner):
    """Allocate by u * log(1 + rank), u being a module's Adafactor-normalised gradient energy.

    One shot at step 0, at the cost of forward and backward passes over ``num_items`` probe items.
    Raw gradient norms and spectra lost to uniform ranks on every task; normalised, they won
    (RANK_SPIKE.md section 5, point 2, "normgrad").
    """

    kind: Literal["gradient"] = "gradient"
    num_items: int = Field(
        96, ge=1, le=65536, description="Probe items; RANK_SPIKE.md measured with 96."
    )

    @property
    @override
    def most_probe_items(self) -> int:
        return self.num_items

    @override
    def plan(self, view: View, memory: Memory) -> tuple[Decision, Memory]:
        results = [r for r in view.measurements if isinstance(r, GradientEnergyResult)]
        if not results:
            return Measure(requests=(GradientEnergy(num_items=self.num_items),)), memory
        return _allocated(view, results[0].energy), memory


def _allocated(view: View, energy: dict[str, float]) -> Decision:
    modules = in_order(view.modules)
    energy_M = np.array([energy.get(m.name, np.nan) for m in modules])
    for module, value in zip(modules, energy_M, strict=True):
        if not np.isfinite(value) or value < 0:
            return Keep(reason=f"no usable gradient energy: {module.name} has {value}")
    if not energy_M.any():
        return Keep(reason="no usable gradient energy: it is 0 in every module")
    low_M, high_M = bounds_of(modules)
    ranks_M = allocate(
        log_gains(energy_M, high_M),
        costs_of(modules),
        view.budget,
        min_ranks_M=low_M,
        max_ranks_M=high_M,
        multiple=multiple_of(modules),
    )
    share_M = energy_M / energy_M.sum()
    reasons = {
        m.name: Reason(text=f"{share:.1%} of the normalised gradient energy")
        for m, share in zip(modules, share_M, strict=True)
    }
    ranks = {m.name: int(r) for m, r in zip(modules, ranks_M, strict=True)}
    return Apply(ranks=ranks, reasons=reasons, reason="allocated by normalised gradient energy")
