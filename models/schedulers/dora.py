"""DoRA as peft has it: settings and ranks only; its ranks never move and it is not a planner."""

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict

from rankscope.models.inventory import AdaptableModule
from rankscope.models.schedulers.allocation import in_order, uniform_ranks
from rankscope.models.schedulers.contract import ModuleState
from rankscope.models.schedulers.leaving_out import kept_modules


class Dora(BaseModel):
    """LoRA with a trained magnitude m per output, peft's own; the budget pays for m with rank.

    Weight-decomposed LoRA. A, B and m together keep the budget, so its ranks are lower than
    uniform's: they are the uniform ranks of what the magnitudes leave. A budget of rank 1 never
    pays for rank 1 and m on all modules; as few as can be are then left without an adapter.

    Source: Liu et al. 2024, arXiv 2402.09353, equation 5; peft ``use_dora``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", title="DoRA")

    kind: Literal["dora"] = "dora"

    def ranks(self, modules: Sequence[ModuleState], budget: int) -> dict[str, int]:
        """Every module's rank from the start to the end; 0 where one is left out.

        Raises:
            ValueError: If the budget does not pay for the least rank with its magnitudes.
        """
        ordered = in_order(modules)
        least = [max(1, module.min_rank) for module in ordered]
        prices_M = np.array(
            [m.cost * rank + m.d_out for m, rank in zip(ordered, least, strict=True)],
            dtype=np.int64,
        )
        kept_M = kept_modules(prices_M, budget)
        lowest = min(module.min_rank for module in ordered)
        if lowest > 0 and not kept_M.all():
            raise ValueError(
                f"lora.min_rank must be 0 where not all modules and their magnitudes fit the "
                f"budget of {budget:,} (they need {int(prices_M.sum()):,}), got {lowest}; "
                "lower it or raise the budget"
            )
        adapted = [
            module.model_copy(update={"rank": rank, "min_rank": rank})
            for module, rank, is_kept in zip(ordered, least, kept_M, strict=True)
            if is_kept
        ]
        magnitudes = sum(module.d_out for module in adapted)
        ranks = uniform_ranks(adapted, budget - magnitudes)
        return {module.name: ranks.get(module.name, 0) for module in modules}

    def params(self, modules: Sequence[AdaptableModule], ranks: Mapping[str, int]) -> int:
        """A, B and m of all modules at these ranks."""
        return sum(m.cost * ranks[m.name] + m.d_out for m in modules if ranks[m.name] > 0)
