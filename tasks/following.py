"""What the other processes of a run do: train in step with process 0, which alone records."""

from pathlib import Path

from pydantic import BaseModel, TypeAdapter

from rankscope.models.config import RunConfig
from rankscope.models.roots import Roots
from rankscope.tasks.build import assemble, make_trainer
from rankscope.tasks.callback import RunCallback
from rankscope.tasks.loop import seed_everything
from rankscope.tasks.preparing import prepare
from rankscope.tasks.process_group import ProcessGroup


class Beginning(BaseModel):
    """What process 0 tells the others when training begins."""

    checkpoint: Path | None
    """To go on from."""


_BEGINNING: TypeAdapter[Beginning | None] = TypeAdapter(Beginning | None)


def begin(group: ProcessGroup, beginning: Beginning | None) -> Beginning | None:
    """Process 0's word, told or heard; None where nothing is left to train."""
    return group.from_first(lambda: beginning, _BEGINNING)


def follow(config: RunConfig, roots: Roots, checkpoints: Path, group: ProcessGroup) -> None:
    """Train with process 0 from its word to the last step.

    Args:
        config: Of the run.
        roots: Where models and data may lie.
        checkpoints: The folder that process 0 writes to.
        group: The processes of the run, this one among them.
    """
    group.use_devices()
    seed_everything(config.seed)
    assembled = assemble(config, roots, lambda _: None, group=group)
    callback = RunCallback(
        config,
        assembled.inventory,
        emit=lambda _: None,
        flush=lambda: None,
        requested=lambda: None,
        score_validation=lambda _: None,
    )
    trainer = make_trainer(config, assembled, checkpoints, callback)
    beginning = begin(group, None)
    if beginning is None:
        return
    if beginning.checkpoint is None:
        prepare(config, assembled, lambda _: None)
        if assembled.steering:
            assembled.steering.decide(0, None, None)
    trainer.train(
        resume_from_checkpoint=str(beginning.checkpoint) if beginning.checkpoint else None
    )
