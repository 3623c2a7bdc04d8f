"""EVA: settings and how it shares the budget out; its ranks are set once, before the first step."""

from collections.abc import Mapping, Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from rankscope.models.schedulers.allocation import in_order
from rankscope.models.schedulers.contract import ModuleState


class Eva(BaseModel):
    """Start A along the directions that explain most of a module's inputs, ranks by how much.

    Training data run through the base model before the first step, which is charged to the run;
    peft's own incremental decomposition finds the directions. It keeps the budget: where EVA counts
    ranks we count parameters, and take its components in its order while they fit.

    Source: Paischer et al. 2024, arXiv 2410.07170; peft ``EvaConfig``. Of the language model only
        answer tokens are looked at (peft's ``use_label_mask``); nothing is whitened.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", title="EVA")

    kind: Literal["eva"] = "eva"
    rho: float = Field(
        2.0,
        ge=1,
        le=16,
        title="Largest rank over the equal one",
        description="No module gets more than this times the budget as an equal rank (rho).",
    )
    num_batches: int = Field(
        64,
        ge=2,
        le=4096,
        title="Batches to look at",
        description="Training batches at most; it stops when all directions have settled.",
    )
    tau: float = Field(
        0.99,
        gt=0,
        le=1,
        title="Settled at a cosine of",
        description="Between a direction before and after a batch (tau).",
    )

    def most_components(self, modules: Sequence[ModuleState], budget: int) -> dict[str, int]:
        """How many directions to find per module, which is also its largest rank.

        peft's low-rank decomposition draws twice as many as it is asked for, so that no more than
        half of a module's inputs can be had.
        """
        equal_rank = budget / sum(module.cost for module in modules)
        return {
            module.name: min(
                max(1, round(self.rho * equal_rank), module.min_rank),
                module.max_rank,
                max(1, module.d_in // 2),
            )
            for module in modules
        }

    def ranks(
        self, modules: Sequence[ModuleState], explained: Mapping[str, Sequence[float]], budget: int
    ) -> dict[str, int]:
        """Components by falling share of explained variance while their parameters fit.

        After the minimum ranks, each next component is that of the largest share; what no longer
        fits is passed over, and its module then gets no more. Ties go to the earlier module.

        Args:
            modules: With their bounds.
            explained: Per module, share of its inputs' variance that each successive direction
                explains, falling; no module gets more ranks than directions.
            budget: Parameters; never exceeded.
        """
        ordered = in_order(modules)
        ranks = {module.name: module.min_rank for module in ordered}
        left = budget - sum(module.cost * module.min_rank for module in ordered)
        candidates = [
            (-share, place, component, module)
            for place, module in enumerate(ordered)
            for component, share in enumerate(explained[module.name][: module.max_rank])
        ]
        for _, _, component, module in sorted(candidates, key=lambda one: one[:3]):
            if component == ranks[module.name] and module.cost <= left:
                ranks[module.name] += 1
                left -= module.cost
        return {module.name: ranks[module.name] for module in modules}
