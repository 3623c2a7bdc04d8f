"""LoRA-GA: settings and ranks only; uniform ranks that never move."""

from collections.abc import Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from rankscope.models.schedulers.allocation import uniform_ranks
from rankscope.models.schedulers.contract import ModuleState


class LoraGa(BaseModel):
    """Start A and B on the main directions of the weights' gradient, peft's own initialisation.

    Training data run forward and backward through the base model before the first step, which is
    charged to the run. It keeps the budget: A and B have the uniform ranks. As B is not zero, what
    they start with is taken out of the base weights, so that an export has twice the rank.

    Source: Wang et al. 2024, arXiv 2407.05000; peft ``LoraGAConfig``, which beside the paper weighs
        B by the gradient's singular values.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", title="LoRA-GA")

    kind: Literal["lora_ga"] = "lora_ga"
    num_batches: int = Field(
        16,
        ge=1,
        le=4096,
        title="Batches to look at",
        description="Training batches whose gradients are averaged.",
    )
    direction: Literal["ArBr", "A2rBr", "ArB2r", "random"] = Field(
        "ArB2r",
        title="Directions of A and B",
        description="Of the first 2 r: every other to each, A the last, A the first, or drawn.",
    )
    scale: Literal["stable", "weight_svd", "gd_scale", "unit"] = Field(
        "stable",
        title="Size of the start",
        description="stable: by the outputs and gamma; weight_svd: as large as the weight; "
        "gd_scale: over the scale s; unit: as the gradient is.",
    )
    stable_gamma: int = Field(
        16, ge=1, le=4096, title="Gamma", description="stable divides B by its root."
    )

    def ranks(self, modules: Sequence[ModuleState], budget: int) -> dict[str, int]:
        """Every module's rank: uniform, at most half of what its matrix has.

        Raises:
            ValueError: If the budget or a matrix does not allow the least rank.
        """
        halved = [
            module.model_copy(
                update={"max_rank": min(module.max_rank, min(module.d_in, module.d_out) // 2)}
            )
            for module in modules
        ]
        for module in halved:
            if module.min_rank > module.max_rank:
                raise ValueError(
                    f"lora.min_rank must not exceed half of a matrix's rank with LoRA-GA, got "
                    f"{module.min_rank} where {module.name} allows {module.max_rank}; lower it"
                )
        ranks = uniform_ranks(halved, budget)
        return {module.name: ranks[module.name] for module in modules}
