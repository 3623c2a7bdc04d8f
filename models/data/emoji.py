"""Emoji suites: questions about Twemoji pictures (CC-BY 4.0), in the formats of benchmarks."""

from random import Random
from typing import Literal

import numpy as np
from pydantic import ConfigDict, Field
from typing_extensions import override

from rankscope.models.data.contract import VqaDataset
from rankscope.models.data.emoji_pictures import PartName, sources
from rankscope.models.data.emoji_suites import SUITES, Easel
from rankscope.models.data.parts import Splits, VqaPart


class Emoji(VqaDataset):
    """Five suites about real pictures: naming, presence, counting, choice and rendered text.

    Pictures: Twemoji, copyright 2019 Twitter, Inc and other contributors, CC-BY 4.0. A published
    picture belongs to one part whatever the seed: none that is asked about in the test was ever
    trained on. The formats are those of POPE and MMBench, the questions are not theirs.
    """

    model_config = ConfigDict(title="Emoji (Twemoji, CC-BY 4.0)")

    kind: Literal["emoji"] = "emoji"
    train_items: int = Field(1500, ge=50, le=100_000, description="Questions to train on.")
    probe_items: int = Field(120, ge=30, le=10_000, description="Questions the scheduler may use.")
    validation_items: int = Field(120, ge=30, le=20_000, description="Questions for validation.")
    test_items: int = Field(600, ge=50, le=50_000, description="Questions of the final test.")
    seed: int = Field(0, ge=0, lt=2**32, description="Everything drawn follows from it.")

    @property
    @override
    def family(self) -> str:
        return "emoji"

    @override
    def load(self, image_size_px: int) -> Splits[VqaPart]:
        return Splits(
            train=self._part("train", self.train_items, image_size_px),
            probe=self._part("probe", self.probe_items, image_size_px),
            validation=self._part("validation", self.validation_items, image_size_px),
            test=self._part("test", self.test_items, image_size_px),
        )

    @override
    def sample(self, image_size_px: int, num_items: int) -> VqaPart:
        """Train items of a smaller data set with the same seed."""
        small = max(num_items, len(SUITES))
        return self._part("train", small, image_size_px).head(num_items)

    def _part(self, name: PartName, num_items: int, image_size_px: int) -> VqaPart:
        rng = Random(f"emoji {name} {self.seed}")  # noqa: S311 - pictures, not secrets
        found = [source for source in sources() if source.part == name]
        each, over = divmod(num_items, len(SUITES))
        easel = Easel.of(found, each + (over > 0), image_size_px, rng)
        items = [
            item
            for number, suite in enumerate(SUITES)
            for item in suite(easel)[: each + (number < over)]
        ]
        rng.shuffle(items)
        drawings = list(dict.fromkeys(item.drawing for item in items))
        places = {drawing: place for place, drawing in enumerate(drawings)}
        return VqaPart(
            images_NHWC=np.stack([drawing.image_HWC for drawing in drawings]),
            image_ids_I=np.array([places[item.drawing] for item in items], dtype=np.int64),
            questions=tuple(item.question for item in items),
            answers=tuple(item.answer for item in items),
            skills=tuple(item.skill for item in items),
        )
