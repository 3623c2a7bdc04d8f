"""What a run does before its first step where it sets out from training data, and what it costs."""

import time
from collections.abc import Iterator

import torch

from rankscope.models.config import RunConfig
from rankscope.models.events import Measured
from rankscope.tasks.batches import Collator, ShuffledItems
from rankscope.tasks.build import Assembled
from rankscope.tasks.process_group import trained_and_moments
from rankscope.tasks.steering import Emit


def prepare(config: RunConfig, assembled: Assembled, emit: Emit) -> str | None:
    """Let a run's tuning set out; what it took of training data is charged to the run.

    Returns:
        What was done, for people; None if there was nothing to do.
    """
    started_s = time.perf_counter()
    done = assembled.tuning.prepare(lambda num: _first_batches(config, assembled, num))
    assembled.group.copy_from_first(trained_and_moments(assembled.tuning.model, None))
    if done is None:
        return None
    if done.cost_items:
        emit(
            Measured(
                step=0,
                time=time.time(),
                request=None,
                results=(),
                cost_s=time.perf_counter() - started_s,
                cost_items=done.cost_items,
            )
        )
    return done.text


def _first_batches(
    config: RunConfig, assembled: Assembled, num_batches: int
) -> Iterator[dict[str, torch.Tensor]]:
    """The batches that training will begin with."""
    vlm, train = assembled.vlm, assembled.splits.train
    size = config.training.batch_size
    order = ShuffledItems(len(train), num_batches * size, config.seed)
    collate = Collator(train, vlm.processor)
    for start in range(0, num_batches * size, size):
        batch = collate(order[position] for position in range(start, start + size))
        yield {key: value.to(vlm.device) for key, value in batch.items()}
