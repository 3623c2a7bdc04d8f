"""The order in which a run sees its training items: a function of seed and position alone."""

from collections.abc import Iterable
from functools import lru_cache

import numpy as np
import torch
from torch.utils.data import Dataset
from typing_extensions import override

from rankscope.models.data.parts import DataPart
from rankscope.models.vlms.loading import VlmProcessor


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


class Collator:
    """Item indices -> a training batch."""

    def __init__(self, part: DataPart, processor: VlmProcessor) -> None:
        self.part = part
        self.processor = processor

    def __call__(self, items: Iterable[int]) -> dict[str, torch.Tensor]:
        """The batch of these items, labels on the answers only."""
        return self.processor.training_batch(self.part.examples(list(items)))
