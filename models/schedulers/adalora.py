"""AdaLoRA as peft has it: settings only; it trains by itself and is not a planner."""

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from rankscope.models.inventory import AdaptableModule
from rankscope.models.schedulers.leaving_out import kept_modules


class AdaLoraSchedule(NamedTuple):
    """peft's ``tinit``, ``tfinal`` and ``deltaT`` in optimizer steps."""

    warmup_steps: int
    final_steps: int
    interval_steps: int


class AdaLoraStart(NamedTuple):
    """Where AdaLoRA sets out and where it is to arrive."""

    names: tuple[str, ...]
    """The modules that get triplets."""
    rank: int
    """Of each of them at the start."""
    target_triplets: int
    """Kept at the end, over all of them; fewer than at the start."""

    def ranks(self, modules: Sequence[AdaptableModule]) -> dict[str, int]:
        """Triplets per module at the start, modules left out included."""
        adapted = frozenset(self.names)
        return {module.name: self.rank if module.name in adapted else 0 for module in modules}


class AdaLora(BaseModel):
    """Adaptive budget allocation by pruning singular triplets, peft's own implementation.

    As peft has it, it exceeds the budget: it trains ``init_rank_factor`` times the target rank on
    every module until the end of the run, because peft masks triplets and never shrinks tensors,
    and it adds one parameter E per rank. Its own budget counts ranks, not parameters. So
    ``target_rank`` is the floor of the budget's equivalent uniform rank, and what is live is shown
    beside the budget. With ``live_budget`` "held" nothing ever exceeds it: the start rank is the
    largest whose A, B and E fit together, and masking goes down from there. Where not even rank 1
    fits on all modules (a budget of rank 1 does not pay for E), as few as can be are left out.

    Source: Zhang et al. 2023, arXiv 2303.10512; defaults are those of peft's ``AdaLoraConfig`` or,
        where that has none that trains (tinit = tfinal = 0), fractions in the paper's range.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", title="AdaLoRA")

    kind: Literal["adalora"] = "adalora"
    live_budget: Literal["peft", "held"] = Field(
        "peft",
        title="Live parameters",
        description=(
            "peft: they exceed the budget and masking reaches it; held: A, B and E fit throughout."
        ),
    )
    init_rank_factor: float = Field(
        1.5, gt=1, le=8, description="Start rank over target rank, rounded up (peft: 12 over 8)."
    )
    warmup_fraction: float = Field(
        0.1, ge=0, lt=1, description="Share of the steps before pruning begins (tinit)."
    )
    final_fraction: float = Field(
        0.3, ge=0, lt=1, description="Share of the steps trained at the target rank (tfinal)."
    )
    interval_fraction: float = Field(
        0.01, gt=0, le=0.5, description="Share of the steps between prunings (deltaT)."
    )
    beta1: float = Field(0.85, gt=0, lt=1, description="Smoothing of a triplet's sensitivity.")
    beta2: float = Field(0.85, gt=0, lt=1, description="Smoothing of its uncertainty.")
    orthogonality_weight: float = Field(
        0.5, ge=0, le=100, description="Weight of the orthogonality loss (orth_reg_weight)."
    )

    @model_validator(mode="after")
    def _pruning_has_time(self) -> Self:
        if self.warmup_fraction + self.final_fraction >= 1:
            raise ValueError(
                "warmup_fraction + final_fraction must be below 1, got "
                f"{self.warmup_fraction} + {self.final_fraction}; lower one of them"
            )
        return self

    def target_rank(self, equivalent_rank: float) -> int:
        """Average rank per module after pruning: the equivalent rank rounded down, at least 1."""
        return max(1, math.floor(equivalent_rank))

    def init_rank(self, equivalent_rank: float) -> int:
        """Rank of every module at the start; above the target, or peft has nothing to prune."""
        return math.ceil(self.init_rank_factor * self.target_rank(equivalent_rank))

    def start(self, modules: Sequence[AdaptableModule], budget: int) -> AdaLoraStart:
        """The start and the target on these modules.

        Raises:
            ValueError: If ``live_budget`` is "held" and the budget leaves nothing to prune.
        """
        names = tuple(module.name for module in modules)
        if self.live_budget == "peft":
            equivalent_rank = budget / sum(module.cost for module in modules)
            target_triplets = self.target_rank(equivalent_rank) * len(names)
            return AdaLoraStart(names, self.init_rank(equivalent_rank), target_triplets)
        # one parameter E beside every row of A and column of B
        prices_M = np.array([module.cost + 1 for module in modules], dtype=np.int64)
        rank = max(1, budget // int(prices_M.sum()))
        kept_M = kept_modules(rank * prices_M, budget)
        kept = tuple(name for name, is_kept in zip(names, kept_M, strict=True) if is_kept)
        triplets = rank * len(kept)
        target_triplets = min(triplets - 1, int(triplets / self.init_rank_factor))
        if target_triplets < 1:
            raise ValueError(
                f"AdaLoRA needs a budget of at least 2 triplets to prune one, got {budget:,} "
                f"parameters ({triplets} triplet); raise it"
            )
        return AdaLoraStart(kept, rank, target_triplets)

    def schedule(self, num_steps: int) -> AdaLoraSchedule:
        """The fractions in optimizer steps; at least one step is left for pruning.

        Raises:
            ValueError: If the run has fewer than 2 steps.
        """
        if num_steps < 2:
            raise ValueError(
                f"AdaLoRA needs at least 2 steps to prune, got {num_steps}; raise training.steps"
            )
        final_steps = int(self.final_fraction * num_steps)
        warmup_steps = min(int(self.warmup_fraction * num_steps), num_steps - final_steps - 1)
        return AdaLoraSchedule(
            warmup_steps, final_steps, max(1, round(self.interval_fraction * num_steps))
        )
