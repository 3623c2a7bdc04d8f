"""All that a run can say: one frozen record per thing that happened, in the order it happened."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from rankscope.models.schedulers.contract import (
    Apply,
    Keep,
    Measure,
    MeasurementResult,
    View,
)

RunStatus = Literal["queued", "starting", "running", "paused", "done", "failed", "stopped", "lost"]
OPEN_STATUSES: frozenset[RunStatus] = frozenset({"queued", "starting", "running", "paused"})
"""A run in one of these may still change; in any other it has ended."""
LIVE_STATUSES: frozenset[RunStatus] = OPEN_STATUSES - {"queued"}
"""A run in one of these belongs to the process of its present attempt."""

EvaluationPart = Literal["validation", "test"]
EvaluationKind = Literal["before", "during", "after", "shuffled_images", "question_only"]
"""``question_only``: the usual answer of each question text, without a model or a picture."""


class _Event(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    step: int = Field(ge=0, description="Optimizer steps done when it happened.")
    time: float = Field(description="Seconds since the epoch.")


class StatusChanged(_Event):
    """The run entered a status; ``reason`` says why where that is not obvious."""

    kind: Literal["status_changed"] = "status_changed"
    status: RunStatus
    reason: str = ""


class StepDone(_Event):
    """One optimizer step."""

    kind: Literal["step_done"] = "step_done"
    loss: float = Field(description="Mean training loss of the step (nats per answer token).")
    lr: float = Field(description="Learning rate before layer-wise factors.")
    grad_norm: float | None = Field(None, description="Before clipping.")
    step_s: float = Field(
        ge=0, description="Wall-clock of the step, measurements and scores excluded."
    )


class RanksChanged(_Event):
    """New ranks of the modules that changed; at step 0 of all modules."""

    kind: Literal["ranks_changed"] = "ranks_changed"
    ranks: dict[str, int]
    cause: Literal["start", "scheduler", "observed"] = Field(
        description="start: initial allocation; observed: by a scheduler that trains itself."
    )
    moved_params: int = Field(ge=0, description="Half of the sum of |new - old| parameters.")
    live_params: int = Field(
        ge=0,
        description="Adapter parameters after it, from the tensors; observed: of the ranks kept.",
    )


class Failed(BaseModel):
    """In place of a decision: the planner failed, ranks stay, and it is not asked again."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["failed"] = "failed"
    reason: str = Field(description="What went wrong, in one line.")


class Decided(_Event):
    """A planner's decision, or its failure to decide, with the view it saw."""

    kind: Literal["decided"] = "decided"
    view: View
    decision: Annotated[Keep | Apply | Failed, Field(discriminator="kind")]


class Measured(_Event):
    """A measurement a planner asked for, its result and what it cost.

    Also the training data from which a scheduler that trains by itself sets out: it asks nobody.
    """

    kind: Literal["measured"] = "measured"
    request: Measure | None = Field(description="None: setting out from training data.")
    results: tuple[MeasurementResult, ...]
    cost_s: float = Field(ge=0)
    cost_items: int = Field(ge=0, description="Forward passes over single items.")


class ParamsSampled(_Event):
    """Adapter parameters counted on the real tensors, after every single tensor swap."""

    kind: Literal["params_sampled"] = "params_sampled"
    live_params: int = Field(ge=0)
    sample: int = Field(
        ge=0, description="Running number, so that several samples of one step keep their order."
    )


class Evaluated(_Event):
    """Generated answers scored by exact match."""

    kind: Literal["evaluated"] = "evaluated"
    part: EvaluationPart
    when: EvaluationKind
    accuracy: float = Field(ge=0, le=1)
    accuracy_by_skill: dict[str, float]
    correct: tuple[bool, ...] = Field(description="Per item, in the order of the part.")
    loss: float | None = Field(
        None, description="Mean over the same items (nats per answer token); of validation only."
    )
    duration_s: float = Field(ge=0)


class CheckpointSaved(_Event):
    """Training state on disk; ``path`` is relative to the run's folder."""

    kind: Literal["checkpoint_saved"] = "checkpoint_saved"
    path: str
    size_bytes: int = Field(ge=0)


class Resumed(_Event):
    """Training goes on from a checkpoint; everything recorded after ``step`` is void."""

    kind: Literal["resumed"] = "resumed"
    attempt: int = Field(ge=1)
    from_start: bool = Field(
        False, description="No checkpoint was left: everything is void, step 0 too."
    )


class LogLine(_Event):
    """A line for people."""

    kind: Literal["log_line"] = "log_line"
    level: Literal["info", "warning", "error"]
    text: str


Event = Annotated[
    StatusChanged
    | StepDone
    | RanksChanged
    | Decided
    | Measured
    | ParamsSampled
    | Evaluated
    | CheckpointSaved
    | Resumed
    | LogLine,
    Field(discriminator="kind"),
]
