"""What hydra remembers between decisions, as JSON in checkpoints."""

from pydantic import BaseModel, ConfigDict, Field, JsonValue


class _Remembered(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class LastEvent(_Remembered):
    """The previous decision, for judging it at the next one."""

    step: int
    probe_loss: float = Field(description="Before the move (nats per item).")
    train_loss: float | None = Field(description="Exponential mean then (nats).")
    ranks_before: dict[str, int] | None = Field(description="None where nothing moved.")


class HydraMemory(_Remembered):
    """Empty before the first event."""

    model: dict[str, JsonValue] | None = Field(
        None, description="The performance model's state; its prior is made anew."
    )
    rises: dict[str, float] = Field({}, description="Latest knock-out rise per group (nats).")
    last: LastEvent | None = None
