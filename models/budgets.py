"""What adapters may cost, in one of three units."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from rankscope.models.inventory import Inventory
from rankscope.models.section import Section

BYTES_PER_PARAM = 4
"""Adapters are kept and exported in float32 whatever the base model's precision."""


class RankBudget(Section):
    """A budget equal to the same rank on every adaptable module."""

    unit: Literal["rank"] = "rank"
    value: float = Field(1.0, gt=0, le=1024, title="Rank", description="Equivalent uniform rank.")

    def params(self, inventory: Inventory) -> int:
        """Resolve to trainable adapter parameters."""
        return int(self.value * inventory.params_per_rank)


class ParamsBudget(Section):
    """A budget in trainable adapter parameters."""

    model_config = ConfigDict(title="Parameters")

    unit: Literal["params"] = "params"
    value: int = Field(ge=1, title="Parameters", description="Adapter parameters.")

    def params(self, inventory: Inventory) -> int:
        """Resolve to trainable adapter parameters."""
        del inventory
        return self.value


class MegabyteBudget(Section):
    """A budget as the size of the exported adapter, float32, 1 MB = 10^6 bytes."""

    unit: Literal["megabytes"] = "megabytes"
    value: float = Field(gt=0, le=1_000_000, title="Megabytes", description="Adapter size in MB.")

    def params(self, inventory: Inventory) -> int:
        """Resolve to trainable adapter parameters."""
        del inventory
        return int(self.value * 1e6 / BYTES_PER_PARAM)


Budget = Annotated[RankBudget | ParamsBudget | MegabyteBudget, Field(discriminator="unit")]
