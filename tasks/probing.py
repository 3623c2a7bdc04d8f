"""Measurements on a data set that somebody's own Trainer can batch.

Shapes: B items.
"""

from collections.abc import Iterator, Sized
from typing import cast

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset, Subset
from transformers import Trainer
from typing_extensions import override

from rankscope.models.lora.elastic import ElasticLora
from rankscope.models.vlms.labels import NOT_SCORED
from rankscope.tasks import scoring
from rankscope.tasks.measuring import ItemMeasurer

Batch = dict[str, Tensor]

_TOLERANCE = 0.01
"""Relative, between the trainer's loss of a batch and the same from single items; half precision
makes some thousandths, another loss makes more."""


class TrainerMeasurer(ItemMeasurer):
    """Runs measurements on held-out items through a Trainer's own collator and loss.

    Batches are made once and kept on the device, so that every measurement is on the same tensors.
    A language model's loss is taken apart by item; any other loss is asked for item by item.

    Args:
        elastic: The adapters of the trainer's model.
        trainer: Whose collator, device and loss are used.
        probe: Any data set that the collator can batch; None where nothing is measured.
    """

    def __init__(
        self, elastic: ElasticLora, trainer: Trainer, probe: Dataset[object] | None
    ) -> None:
        super().__init__(elastic, 0 if probe is None else len(cast("Sized", probe)))
        self._trainer = trainer
        self._probe = probe
        self._loaded: list[Batch] = []
        self._num_loaded = 0

    @override
    def batches(self, num_items: int) -> list[Batch]:
        if num_items > self._num_loaded:
            self._loaded = self._load(num_items)
            self._num_loaded = num_items
        return list(_first(self._loaded, num_items))

    @override
    def item_losses(self, model: nn.Module, batch: Batch) -> Tensor:
        if _num_items(batch) == 1:
            return self._loss(model, batch).reshape(1)
        return scoring.item_losses(model, batch)

    def _load(self, num_items: int) -> list[Batch]:
        assert self._probe is not None
        part: Dataset[object] = Subset(self._probe, range(num_items))
        with torch.random.fork_rng(devices=[]):  # a loader draws; training must not notice
            loader = self._trainer.get_eval_dataloader(part)
            batches = [_tensors(batch) for batch in loader]
        if self._is_of_language_model(batches[0]):
            return batches
        return [_part(batch, at, at + 1) for batch in batches for at in range(_num_items(batch))]

    def _is_of_language_model(self, batch: Batch) -> bool:
        """Whether the loss of a batch is the mean over answer tokens, so that items have theirs."""
        labels = batch.get("labels")
        if labels is None or labels.ndim != 2 or _num_items(batch) == 1:
            return False
        model = self._elastic.peft_model
        weights_B = (labels[:, 1:] != NOT_SCORED).sum(1)
        with torch.no_grad():
            try:
                losses_B = scoring.item_losses(model, batch)
            except (RuntimeError, ValueError, IndexError):  # logits of other shapes
                return False
            whole = float(self._loss(model, batch))
        mean = float((losses_B.nan_to_num() * weights_B).sum() / weights_B.sum().clamp_min(1))
        return abs(mean - whole) <= _TOLERANCE * abs(whole)

    def _loss(self, model: nn.Module, batch: Batch) -> Tensor:
        loss = self._trainer.compute_loss(model, dict(batch))
        return cast("Tensor", loss)


def _tensors(batch: object) -> Batch:
    """The tensors of what the collator made.

    Raises:
        ValueError: If it made no mapping, or one without tensors.
    """
    items = dict(batch).items() if hasattr(batch, "keys") else ()  # type: ignore[call-overload]
    tensors = {key: value for key, value in items if isinstance(value, Tensor)}
    if not tensors:
        raise ValueError(
            f"the collator must make a mapping with tensors of a probe batch, got "
            f"{type(batch).__name__}; give a probe that the trainer could also evaluate on"
        )
    return tensors


def _first(batches: list[Batch], num_items: int) -> Iterator[Batch]:
    for batch in batches:
        if num_items <= 0:
            return
        yield _part(batch, 0, num_items) if num_items < _num_items(batch) else batch
        num_items -= _num_items(batch)


def _part(batch: Batch, start: int, end: int) -> Batch:
    return {key: value[start:end] for key, value in batch.items()}


def _num_items(batch: Batch) -> int:
    return next(iter(batch.values())).shape[0]
