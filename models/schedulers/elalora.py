"""ElaLoRA's rank rule: the weakest components go, the modules with the strongest get them."""

import math
from typing import ClassVar, Literal, NamedTuple, Self

from pydantic import ConfigDict, Field, TypeAdapter, model_validator
from typing_extensions import override

from rankscope.models.schedulers.allocation import in_order
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

_GROWN: TypeAdapter[dict[str, int]] = TypeAdapter(dict[str, int])


class _Weak(NamedTuple):
    """One of a module's weakest steps of rank."""

    score: float
    module: ModuleState
    is_free: bool
    """Whether pruning it and all weaker ones of the module leaves the minimum rank."""


class ElaLora(RankPlanner):
    """Move a few ranks every few steps, from the weakest components to the strongest modules.

    A component's score is its running |b_k . dB_k|. Every module enters its ``ranks_per_module``
    weakest components into one pool. The b weakest of the pool are pruned, and going down from its
    strongest each one's module grows by one, as long as the freed parameters last. b falls from
    ``ranks_per_event`` to 0 as 1 - progress^3 over the time between warm-up and stabilisation.

    Differences: ElaLoRA trains P diag(E) Q with a penalty for orthogonality, scores E's entry plus
    the means over its column of P and row of Q and multiplies by an uncertainty; here a component
    is b_k a_k', for which |b_k . dB_k| is what |E dE| is there. It counts ranks, here parameters
    count and are never above the budget. A shrink drops the smallest singular value, which need not
    be the component with the lowest score. A module at rank 0 has no score and stays there
    (ElaLoRA's later code keeps one rank everywhere: set the minimum rank to 1). New components
    start at b = 0 there too and are the next to be pruned; ``grace_events`` spares their modules.

    Source: Chang et al. 2025, arXiv 2504.00254; pool, pruning, growth and schedule as in its code,
        defaults as its example on GLUE RTE (b 4, k 2; 300 and 500 of about 1,950 steps, every 50).
    """

    model_config = ConfigDict(title="ElaLoRA")

    kind: Literal["elalora"] = "elalora"
    needs: ClassVar[frozenset[Statistic]] = frozenset({"saliency"})
    warmup_fraction: float = Field(
        0.15, gt=0, lt=1, description="Share of the steps before ranks may move."
    )
    final_fraction: float = Field(
        0.25, gt=0, lt=1, description="Share of the steps at the end with ranks at rest."
    )
    interval_fraction: float = Field(
        0.025, gt=0, le=0.5, description="Share of the steps between two moves."
    )
    ranks_per_event: int = Field(
        4, ge=1, le=10_000, description="Ranks pruned at the first move (b); falls to 0."
    )
    ranks_per_module: int = Field(
        2, ge=1, le=1000, description="Most ranks that one move takes from or gives a module (k)."
    )
    grace_events: int = Field(
        1,
        ge=0,
        le=1000,
        description="Moves for which a module that grew is not pruned; ElaLoRA itself: 0.",
    )

    @model_validator(mode="after")
    def _moves_have_time(self) -> Self:
        if self.warmup_fraction + self.final_fraction >= 1:
            raise ValueError(
                "warmup_fraction + final_fraction must be below 1, got "
                f"{self.warmup_fraction} + {self.final_fraction}; lower one of them"
            )
        return self

    @override
    def decision_steps(self, num_steps: int) -> tuple[int, ...]:
        warmup, end = self._window(num_steps)
        interval = max(1, round(self.interval_fraction * num_steps))
        return (0, *range(warmup + interval, end, interval))

    @override
    def plan(self, view: View, memory: Memory) -> tuple[Decision, Memory]:
        if view.step == 0:
            return Keep(reason="warm-up at uniform ranks"), memory
        event = sum(step <= view.step for step in self.decision_steps(view.num_steps))
        grown = _GROWN.validate_python(memory.get("grown", {}))
        spared = {name for name, at in grown.items() if event - at <= self.grace_events}
        num_ranks = self._ranks_at(view.step, view.num_steps)
        if num_ranks == 0:
            return Keep(reason="the schedule moves no more ranks"), memory
        pool = self._pool(view)
        if not all(math.isfinite(weak.score) for weak in pool):
            return Keep(reason="no usable saliency: some of it is not finite"), memory
        # Never more than half: a component must not pay for the growth of one that is weaker.
        most = min(num_ranks, len(pool) // 2)
        pruned = [weak for weak in pool if weak.is_free and weak.module.name not in spared][:most]
        change = _moved(view, pool, pruned)
        if not any(steps > 0 for steps in change.values()):
            return Keep(reason="no move: nothing to prune, or nothing that fits may grow"), memory
        now = {name: event for name, steps in change.items() if steps > 0}
        return _decided(view, change), {"grown": {**grown, **now}}

    def _window(self, num_steps: int) -> tuple[int, int]:
        """Steps of the last warm-up step and of the first at rest."""
        final = round(self.final_fraction * num_steps)
        return round(self.warmup_fraction * num_steps), num_steps - final

    def _ranks_at(self, step: int, num_steps: int) -> int:
        warmup, end = self._window(num_steps)
        progress = min(1.0, (step - warmup) / max(1, end - warmup))
        return round(self.ranks_per_event * (1 - progress**3))

    def _pool(self, view: View) -> list[_Weak]:
        """Every module's weakest steps of rank, the weakest of all first.

        A step is ``multiple`` components and scores their mean.
        """
        pool = [
            weak
            for module in in_order(view.modules)
            if not module.pinned
            for weak in _weakest(module, self.ranks_per_module)
        ]
        return sorted(pool, key=lambda weak: weak.score)


def _weakest(module: ModuleState, most: int) -> list[_Weak]:
    scores, size = sorted(module.saliency or ()), module.multiple
    num_free = (module.rank - module.min_rank) // size
    return [
        _Weak(sum(scores[i * size : (i + 1) * size]) / size, module, i < num_free)
        for i in range(min(most, len(scores) // size))
    ]


def _moved(view: View, pool: list[_Weak], pruned: list[_Weak]) -> dict[str, int]:
    """Steps of rank by which modules change; growth only from what pruning frees and was free."""
    change: dict[str, int] = {}
    left = view.budget - sum(m.cost * m.rank for m in view.modules)
    for weak in pruned:
        change[weak.module.name] = change.get(weak.module.name, 0) - 1
        left += weak.module.cost * weak.module.multiple
    for weak in reversed(pool):
        module, steps = weak.module, change.get(weak.module.name, 0)
        price = module.cost * module.multiple
        rank = module.rank + (steps + 1) * module.multiple
        if steps >= 0 and rank <= module.max_rank and price <= left:
            change[module.name] = steps + 1
            left -= price
    return change


def _decided(view: View, change: dict[str, int]) -> Apply:
    states = {m.name: m for m in view.modules}
    return Apply(
        ranks={
            name: states[name].rank + steps * states[name].multiple
            for name, steps in change.items()
        },
        reasons={
            name: Reason(text="among the strongest" if steps > 0 else "held the weakest components")
            for name, steps in change.items()
        },
        reason=f"{-sum(s for s in change.values() if s < 0)} of the weakest steps of rank pruned, "
        f"{sum(s for s in change.values() if s > 0)} given to the strongest modules",
    )
