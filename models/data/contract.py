"""What every built-in or published data set gives: disjoint parts of questions about pictures."""

from abc import ABC, abstractmethod
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict

from rankscope.models.data.parts import Splits, VqaPart

_SMALL_PX = 24
"""A multiple of the cells of a drawn scene."""


class VqaDataset(BaseModel, ABC):
    """The configuration of a data set; equal configurations give equal data on every machine."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: str

    @property
    @abstractmethod
    def family(self) -> str:
        """Which data sets count as the same kind of shift away from pretraining.

        Whatever is learned from past runs never comes from the family it is judged on. Two tasks
        that share an answer remap are one family, and so is one task under several seeds or sizes.
        """

    @abstractmethod
    def load(self, image_size_px: int, cache: Path) -> Splits[VqaPart]:
        """All parts, with square pictures of ``image_size_px`` pixels a side.

        Args:
            image_size_px: Side of the pictures.
            cache: Where ``rankscope prepare`` leaves pictures that no package brings along.

        Raises:
            ValueError: If what the pictures come from is not there.
        """

    def sample(self, image_size_px: int, num_items: int, cache: Path) -> VqaPart:
        """The first train items about different pictures, for people to look at."""
        train = self.load(image_size_px, cache).train
        _, first_items = np.unique(train.image_ids_I, return_index=True)
        return train.subset(np.sort(first_items)[:num_items])

    def texts(self, num_items: int, cache: Path) -> list[tuple[str, str]]:
        """Questions and answers of the first train items; pictures are drawn small and left out."""
        part = self.sample(_SMALL_PX, num_items, cache)
        return list(zip(part.questions, part.answers, strict=True))
