"""Training without adapters: settings only; the reference that no budget binds."""

from typing import Literal

from pydantic import BaseModel, ConfigDict


class Full(BaseModel):
    """Train base weights, without adapters: those of the modules that would have one.

    With no part to choose modules from, the parts trained in full are all that is trained, as in a
    stage that aligns a projector. It has no ranks and exceeds any budget; its parameters are shown
    beside the budget, not hidden.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["full"] = "full"
