"""Emoji suites: questions about published pictures, in the formats of benchmarks."""

from collections.abc import Mapping
from pathlib import Path
from random import Random
from typing import Literal

import numpy as np
from pydantic import ConfigDict, Field
from typing_extensions import override

from rankscope.models.data.contract import VqaDataset
from rankscope.models.data.emoji_cifar10 import CIFAR10, cifar10
from rankscope.models.data.emoji_fluent import FLUENT, fluent
from rankscope.models.data.emoji_packages import PicturePackage
from rankscope.models.data.emoji_pictures import PartName, PictureSet
from rankscope.models.data.emoji_suites import SUITES, Easel
from rankscope.models.data.emoji_twemoji import twemoji
from rankscope.models.data.parts import Splits, VqaPart

PREPARED: Mapping[str, PicturePackage] = {package.name: package for package in (FLUENT, CIFAR10)}
"""Pictures that ``rankscope prepare`` fetches, by their names."""


class Emoji(VqaDataset):
    """Five suites about real pictures: naming, presence, counting, choice and rendered text.

    Pictures: Twemoji, copyright 2019 Twitter, Inc and other contributors, CC-BY 4.0; Fluent Emoji
    by Microsoft, MIT; CIFAR-10 (Krizhevsky 2009), photographs without an explicit licence. A
    published picture belongs to one part whatever the seed: none that is asked about in the test
    was ever trained on. The formats are those of POPE and MMBench, the questions are not theirs.
    """

    model_config = ConfigDict(title="Emoji and photos")

    kind: Literal["emoji"] = "emoji"
    pictures: Literal["twemoji", "fluent", "cifar10"] = Field(
        "twemoji",
        title="Pictures",
        description="Twemoji (CC-BY 4.0), the same emoji as Fluent 3D (MIT), or photos of ten "
        "things from CIFAR-10. The last two are fetched by `rankscope prepare`, once.",
    )
    train_items: int = Field(1500, ge=50, le=100_000, description="Questions to train on.")
    probe_items: int = Field(120, ge=30, le=10_000, description="Questions the scheduler may use.")
    validation_items: int = Field(120, ge=30, le=20_000, description="Questions for validation.")
    test_items: int = Field(600, ge=50, le=50_000, description="Questions of the final test.")
    seed: int = Field(0, ge=0, lt=2**32, description="Everything drawn follows from it.")

    @property
    @override
    def family(self) -> str:
        return "emoji"  # whatever the pictures: the suites are the same

    @override
    def load(self, image_size_px: int, cache: Path) -> Splits[VqaPart]:
        pictures = self._pictures(cache)
        return Splits(
            train=self._part("train", self.train_items, pictures, image_size_px),
            probe=self._part("probe", self.probe_items, pictures, image_size_px),
            validation=self._part("validation", self.validation_items, pictures, image_size_px),
            test=self._part("test", self.test_items, pictures, image_size_px),
        )

    @override
    def sample(self, image_size_px: int, num_items: int, cache: Path) -> VqaPart:
        """Train items of a smaller data set with the same seed."""
        small = max(num_items, len(SUITES))
        part = self._part("train", small, self._pictures(cache), image_size_px)
        return part.head(num_items)

    def _pictures(self, cache: Path) -> PictureSet:
        match self.pictures:
            case "twemoji":
                return twemoji()
            case "fluent":
                return fluent(cache)
            case "cifar10":
                return cifar10(cache)

    def _part(
        self, name: PartName, num_items: int, pictures: PictureSet, image_size_px: int
    ) -> VqaPart:
        rng = Random(f"emoji {name} {self.seed}")  # noqa: S311 - pictures, not secrets
        each, over = divmod(num_items, len(SUITES))
        easel = Easel.of(pictures.of_part(name), each + (over > 0), image_size_px, rng)
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
