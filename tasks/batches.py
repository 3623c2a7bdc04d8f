"""The order in which a run sees its training items: a function of seed and position alone."""

from collections.abc import Iterable
from functools import lru_cache

import numpy as np
import torch
from torch.utils.data import Dataset
from typing_extensions import override

from rankscope.models.config import RunConfig
from rankscope.models.data.files.ordering import length_groups
from rankscope.models.data.parts import DataPart
from rankscope.models.vlms.labels import NOT_SCORED
from rankscope.models.vlms.loading import VlmProcessor
from rankscope.tasks.process_group import ALONE, ProcessGroup

NO_ITEM = -1
"""At a place of a batch that stays empty."""


class ShuffledItems(Dataset[int]):
    """Position in the whole run -> index of a training item; every epoch has its own permutation.

    The whole run is one pass over this data set, so a run resumed at any step sees the very items
    it would have seen, without replaying a generator.
    """

    def __init__(self, num_items: int, num_positions: int, seed: int) -> None:
        self.num_items = num_items
        self.num_positions = num_positions
        self.seed = seed
        # Neighbouring positions share an epoch; two are alive where a batch spans a boundary.
        self._order = lru_cache(maxsize=2)(self._permutation)

    def __len__(self) -> int:
        return self.num_positions

    @override
    def __getitem__(self, position: int) -> int:
        epoch, offset = divmod(position, self.num_items)
        return int(self._order(epoch)[offset])

    def _permutation(self, epoch: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        return np.random.default_rng([self.seed, epoch]).permutation(self.num_items)


class LengthGroupedItems(Dataset[int]):
    """As :class:`ShuffledItems`, but a batch holds items of like length, pictures or none.

    A batch that is not full ends with places that hold ``NO_ITEM``; they belong to the epoch.
    """

    def __init__(self, part: DataPart, num_positions: int, seed: int, *, batch_size: int) -> None:
        self.num_positions = num_positions
        self.seed = seed
        self._batch_size = batch_size
        self._lengths, self._has_pictures = part.lengths, part.has_pictures
        self._order = lru_cache(maxsize=2)(self._places)
        self.num_places = len(self._order(0))
        """Of an epoch; every epoch has as many, since either kind fills as many batches."""

    def __len__(self) -> int:
        return self.num_positions

    @override
    def __getitem__(self, position: int) -> int:
        epoch, offset = divmod(position, self.num_places)
        return int(self._order(epoch)[offset])

    def _places(self, epoch: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        batches = length_groups(
            self._lengths,
            self._has_pictures,
            batch_size=self._batch_size,
            seed=self.seed,
            epoch=epoch,
        )
        places = np.full((len(batches), self._batch_size), NO_ITEM, dtype=np.int64)
        for row, batch in zip(places, batches, strict=True):
            row[: len(batch)] = batch
        return places.reshape(-1)


class SharedItems(Dataset[int]):
    """What one of several processes sees of a run: of every batch each takes as many items."""

    def __init__(
        self, items: ShuffledItems | LengthGroupedItems, batch_size: int, number: int, size: int
    ) -> None:
        self._items = items
        self._batch_size = batch_size
        self._number, self._size = number, size

    def __len__(self) -> int:
        return len(self._items) // self._size

    @override
    def __getitem__(self, position: int) -> int:
        batch, place = divmod(position, self._batch_size // self._size)
        return self._items[batch * self._batch_size + place * self._size + self._number]


TrainingItems = ShuffledItems | LengthGroupedItems | SharedItems


def training_items(config: RunConfig, part: DataPart, group: ProcessGroup = ALONE) -> TrainingItems:
    """The order in which a process of a run sees the items of a part."""
    training = config.training
    positions = training.steps * training.accumulation_steps * training.batch_size
    items = (
        ShuffledItems(len(part), positions, config.seed)
        if training.order == "shuffled"
        else LengthGroupedItems(part, positions, config.seed, batch_size=training.batch_size)
    )
    if group.size == 1:
        return items
    return SharedItems(items, training.batch_size, group.number, group.size)


class Collator:
    """Item indices -> a training batch."""

    def __init__(self, part: DataPart, processor: VlmProcessor) -> None:
        self.part = part
        self.processor = processor

    def __call__(self, items: Iterable[int]) -> dict[str, torch.Tensor]:
        """The batch of these items, labels on the answers only.

        Where there is none, since others have all of a short batch, it is of an item without label.
        """
        present = [item for item in items if item != NO_ITEM]
        batch = self.processor.training_batch(self.part.examples(present or [0]))
        if not present:
            batch["labels"].fill_(NOT_SCORED)
        return batch
