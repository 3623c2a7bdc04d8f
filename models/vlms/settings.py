"""What a person chooses about a model, without loading it."""

from typing import Literal

from pydantic import BaseModel, ConfigDict


class EmbeddedVlm(BaseModel):
    """The small pretrained model that comes with Rankscope: 1.1 M parameters, 48 px pictures, no network."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["embedded"] = "embedded"
