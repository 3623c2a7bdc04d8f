"""Bytes on disk that a run leaves behind."""

from pydantic import BaseModel, ConfigDict, Field

from rankscope.models.cost.formats import FLOAT32_BYTES
from rankscope.models.cost.memory import ADAM_MOMENTS

CHECKPOINTS_KEPT = 2
"""The last one and, should it turn out unreadable, the one before."""

_STATE_BYTES = 60_000
"""Beside the tensors: generators' states, ranks, planner's memory."""
_STEP_BYTES = 90
"""A row of loss, rate, norm and time in SQLite, its keys included."""
_MODULE_BYTES = 60
"""Of a module in a recorded decision, packed."""
_SCORE_BYTES = 600
"""Of a score besides one bit per item."""


class DiskEstimate(BaseModel):
    """Bytes; while a checkpoint is written there is one more than are kept."""

    model_config = ConfigDict(frozen=True)

    checkpoint_bytes: int
    num_checkpoints: int = Field(CHECKPOINTS_KEPT, description="That are kept.")
    adapter_bytes: int = Field(description="Of the exported adapter, float32.")
    features_bytes: int = Field(description="Of pictures, at most, kept for every later run.")
    database_bytes: int = Field(description="Rows of a run, roughly.")
    total_bytes: int = Field(description="With the checkpoint that is being written.")


def disk(
    *,
    adapter_params: int,
    full_params: int,
    num_steps: int,
    num_decisions: int,
    num_modules: int,
    scored_items: tuple[int, ...],
    features_bytes: int,
) -> DiskEstimate:
    """What a run leaves.

    Args:
        adapter_params: At the most ranks, saved as float32 with two moments each.
        full_params: Of the base model trained themselves, saved as adapters are.
        num_steps: Of the optimizer.
        num_decisions: Of the planner.
        num_modules: That are adapted.
        scored_items: Items of every score.
        features_bytes: That a frozen tower makes of all pictures.
    """
    adapter = FLOAT32_BYTES * adapter_params
    checkpoint = (1 + ADAM_MOMENTS) * (adapter + FLOAT32_BYTES * full_params) + _STATE_BYTES
    rows = _STEP_BYTES * num_steps + _MODULE_BYTES * num_modules * num_decisions
    rows += sum(_SCORE_BYTES + items // 8 for items in scored_items)
    return DiskEstimate(
        checkpoint_bytes=checkpoint,
        adapter_bytes=adapter,
        features_bytes=features_bytes,
        database_bytes=rows,
        total_bytes=(CHECKPOINTS_KEPT + 1) * checkpoint + adapter + features_bytes + rows,
    )
