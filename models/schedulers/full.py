"""Full fine-tuning: settings only; the reference that no budget binds."""

from typing import Literal

from pydantic import BaseModel, ConfigDict


class Full(BaseModel):
    """Train the base weights of every adaptable module, without adapters.

    It has no ranks and exceeds any budget; its parameters are shown beside the budget, not hidden.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["full"] = "full"
