"""AdaLoRA as peft has it: settings only; it trains by itself and is not a planner."""

import math
from typing import Literal, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class AdaLoraSchedule(NamedTuple):
    """peft's ``tinit``, ``tfinal`` and ``deltaT`` in optimizer steps."""

    warmup_steps: int
    final_steps: int
    interval_steps: int


class AdaLora(BaseModel):
    """Adaptive budget allocation by pruning singular triplets, peft's own implementation.

    It exceeds the budget: it trains ``init_rank_factor`` times the target rank on every module
    until the end of the run, because peft masks triplets and never shrinks tensors, and it adds one
    parameter E per rank. Its own budget counts ranks, not parameters. So ``target_rank`` is the
    floor of the budget's equivalent uniform rank, and what is live is shown beside the budget.

    Source: Zhang et al. 2023, arXiv 2303.10512; defaults are those of peft's ``AdaLoraConfig`` or,
        where that has none that trains (tinit = tfinal = 0), fractions in the paper's range.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", title="AdaLoRA")

    kind: Literal["adalora"] = "adalora"
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
