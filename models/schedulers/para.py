"""PARA's rank rule: train with equal ranks, then keep what is above one singular value."""

import math
from typing import ClassVar, Literal

from pydantic import ConfigDict, Field
from typing_extensions import override

from rankscope.models.schedulers.allocation import bounds_of, costs_of, in_order
from rankscope.models.schedulers.contract import (
    Apply,
    Decision,
    Keep,
    Memory,
    ModuleState,
    RankPlanner,
    Reason,
    Statistic,
    View,
)


class Para(RankPlanner):
    """Train with the budget's equal ranks; cut after the last step, by one threshold for all.

    The singular values of every module's s B A are pooled, and the largest are kept down to the
    first that no longer fits in ``keep_fraction`` of the budget: one global threshold, chosen by
    the parameters that are to be left. Nothing is trained after the cut, and no data is used. The
    run is scored, saved and exported as cut, so it ends far below its budget: compare it with runs
    that train with the budget it ends with as well.

    Differences: PARA thresholds B A; with the same scale everywhere that is the same order. Ranks
    that the run's minimum, pins or multiples hold are kept whatever their singular values.

    Source: Kumaravelu, Gupta & Srijith 2026, arXiv 2604.27796 (abstract and reviews; "75-90 %"
        fewer parameters).
    """

    model_config = ConfigDict(title="PARA")

    kind: Literal["para"] = "para"
    needs: ClassVar[frozenset[Statistic]] = frozenset({"singular_values"})
    keep_fraction: float = Field(
        0.25, gt=0, lt=1, description="Share of the budget's parameters left after the cut."
    )

    @override
    def decision_steps(self, num_steps: int) -> tuple[int, ...]:
        return (num_steps,)

    @override
    def check(self, view: View) -> None:
        modules = in_order(view.modules)
        low_M, _ = bounds_of(modules)
        least, share = int(costs_of(modules) @ low_M), int(self.keep_fraction * view.budget)
        if least > share:
            raise ValueError(
                f"keep_fraction must leave the {least:,} parameters of the minimum and pinned "
                f"ranks, got {self.keep_fraction} of {view.budget:,}; raise it or lower the "
                "minimum rank"
            )

    @override
    def plan(self, view: View, memory: Memory) -> tuple[Decision, Memory]:
        modules = in_order(view.modules)
        values = [value for m in modules for value in m.singular_values or ()]
        if not any(values) or not all(math.isfinite(value) for value in values):
            return Keep(reason="no usable singular values: none, all 0, or not finite"), memory
        low_M, _ = bounds_of(modules)
        ranks = {m.name: int(low) for m, low in zip(modules, low_M, strict=True)}
        left = int(self.keep_fraction * view.budget) - int(costs_of(modules) @ low_M)
        threshold = 0.0
        for value, module in _largest_first(modules, ranks):
            left -= module.cost * module.multiple
            if left < 0:
                threshold = value
                break
            ranks[module.name] += module.multiple
        kept = sum(m.cost * ranks[m.name] for m in modules)
        reasons = {m.name: Reason(text=_told(m, ranks[m.name])) for m in modules}
        reason = f"singular values above {threshold:.3g} kept: {kept:,} of {view.budget:,} params"
        return Apply(ranks=ranks, reasons=reasons, reason=reason), memory


def _largest_first(
    modules: tuple[ModuleState, ...], floors: dict[str, int]
) -> list[tuple[float, ModuleState]]:
    """Every step of rank above the floors with the mean of its singular values; ties in order."""
    steps = [
        (_mean(module.singular_values or (), start, module.multiple), module)
        for module in modules
        for start in range(floors[module.name], module.rank, module.multiple)
    ]
    return sorted(steps, key=lambda step: -step[0])


def _mean(values: tuple[float, ...], start: int, size: int) -> float:
    return sum(values[start : start + size]) / size


def _told(module: ModuleState, rank: int) -> str:
    values = module.singular_values or ()
    kept, whole = sum(v**2 for v in values[:rank]), sum(v**2 for v in values)
    share = kept / whole if whole else 1.0
    return f"rank {rank} of {module.rank} keeps {share:.1%} of its change's squared norm"
