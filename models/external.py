"""What a run that Rankscope does not train itself says of itself: a script's, or one imported.

It has the places of a :class:`RunConfig` that lists, pages and comparisons look at, so that they
show it beside ours; what only a trainer of ours would need is not there.
"""

import hashlib
import json
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, TypeAdapter, field_validator

from rankscope.models.budgets import ParamsBudget
from rankscope.models.config import RunConfig
from rankscope.models.schedulers import AnyScheduler

MAX_STEPS = 2**31 - 1
"""What a column of whole numbers holds."""
_KIND = "external"

Words = Annotated[str, Field(max_length=200)]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class ExternalModel(_Section):
    """A model that only its own script can load."""

    kind: Literal["external"] = "external"
    name: Words = Field("", description="Hub id, path or class.")


class ExternalData(_Section):
    """Data that only its own script can read."""

    kind: Literal["external"] = "external"
    task: Words = Field("", description="What it is, in people's words.")


class ExternalScheduler(_Section):
    """A rule that is not one of ours; ``name`` is what its author calls it."""

    kind: Literal["external"] = "external"
    name: Words = ""


class ExternalLora(_Section):
    """The ranks that modules may have."""

    min_rank: int = Field(0, ge=0, le=65535, description="Smallest rank of any module.")
    max_rank: int = Field(1, ge=1, le=65535, description="Largest rank of any module.")


class ExternalTraining(_Section):
    """How long and in what portions; None where nobody said."""

    steps: int = Field(ge=1, le=MAX_STEPS, description="Optimizer steps.")
    batch_size: int | None = Field(None, ge=1, le=MAX_STEPS, description="Items per forward pass.")
    accumulation_steps: int | None = Field(
        None, ge=1, le=MAX_STEPS, description="Forward passes per optimizer step."
    )
    lr: float | None = Field(None, ge=0, description="Peak learning rate.")
    optimizer: Words = ""


class ExternalRun(_Section):
    """Everything that is known of such a run before its first event."""

    kind: Literal["external"] = "external"
    version: Literal[1] = 1
    name: str = Field("", max_length=200, description="A name for people.")
    tags: tuple[Annotated[str, Field(min_length=1, max_length=60)], ...] = Field(
        (), max_length=20, description="Words to find and group runs by."
    )
    seed: int = Field(0, ge=0, le=2**32 - 1)
    model: ExternalModel = ExternalModel()
    data: ExternalData = ExternalData()
    budget: ParamsBudget
    scheduler: Annotated[AnyScheduler | ExternalScheduler, Field(discriminator="kind")]
    lora: ExternalLora = ExternalLora()
    training: ExternalTraining

    @field_validator("tags")
    @classmethod
    def _tags_are_distinct(cls, tags: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(tags)) != len(tags):
            raise ValueError(f"tags must be distinct, got {list(tags)}; remove the repeated one")
        return tags

    def hash(self) -> str:
        """SHA-256 of what decides the result: all but name and tags."""
        content = self.model_dump(mode="json", exclude={"name", "tags"})
        text = json.dumps(content, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()


def is_external(described: object) -> bool:
    """Whether this is the JSON of an :class:`ExternalRun`."""
    return isinstance(described, dict) and described.get("kind") == _KIND


def _tag(described: object) -> str:
    external = isinstance(described, ExternalRun) or is_external(described)
    return _KIND if external else "own"


AnyRun = Annotated[
    Annotated[RunConfig, Tag("own")] | Annotated[ExternalRun, Tag(_KIND)], Discriminator(_tag)
]
"""What the row of a run may hold."""
_ANY_RUN: TypeAdapter[RunConfig | ExternalRun] = TypeAdapter(AnyRun)


def read_run(described: dict[str, Any]) -> RunConfig | ExternalRun:
    """What a run's row says of it.

    Raises:
        ValidationError: If it does not fit this version.
    """
    return _ANY_RUN.validate_python(described)
