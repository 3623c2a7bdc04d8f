"""An evaluation on a benchmark as a person asks for it: which model, which files, how many at once.

Free of torch: form, command line, API, database row and evaluating process all read it.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from rankscope.models.benchmarks import AnyBenchmark
from rankscope.models.vlms import AnyVlm

EvaluationStatus = Literal["queued", "starting", "running", "done", "failed", "stopped"]
"""As of runs, without those that only training has."""


class RunSubject(BaseModel):
    """What a run trained, as its checkpoint of one step holds it: adapters and trained parts."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["run"] = "run"
    run_id: str
    step: int = Field(ge=0, description="Of the checkpoint.")


class AdapterSubject(BaseModel):
    """A folder with a PEFT adapter, put on a base model."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["adapter"] = "adapter"
    folder: str = Field(
        min_length=1,
        max_length=4096,
        description="Folder with adapter_config.json, under the models root.",
    )
    model: AnyVlm


class BaseSubject(BaseModel):
    """A model as it comes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["base"] = "base"
    model: AnyVlm


AnySubject = Annotated[RunSubject | AdapterSubject | BaseSubject, Field(discriminator="kind")]


class EvaluationConfig(BaseModel):
    """Everything an evaluation is determined by."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1] = 1
    subject: AnySubject
    benchmark: AnyBenchmark
    batch_size: int = Field(
        8,
        ge=1,
        le=1024,
        description="Items answered at once; halved by itself where memory does not suffice.",
    )
