"""What a person chooses about a model, without loading it."""

from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict


class EmbeddedVlm(BaseModel):
    """The pretrained model that comes with Rankscope: 1.1 M parameters, 48 px, no network."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["embedded"] = "embedded"

    threads: ClassVar[int | None] = 1
    """CPU threads that serve this model best, None for all there are.

    At this size a second thread gains a fifth when the machine is idle and costs tenfold when it is
    not: OpenMP threads that wait for each other spin.
    """
