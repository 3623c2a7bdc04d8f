"""easy-VQA: 5,000 published pictures of one shape each, 48,248 questions (PyPI ``easy-vqa``, MIT).

Source: Victor Zhou, https://github.com/vzhou842/easy-VQA. Its published split of pictures and
questions is kept: test is the whole published test part, and the pictures of probe and validation
are taken out of the train pictures.
"""

from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Literal

import numpy as np
from pydantic import ConfigDict, Field
from typing_extensions import override

from rankscope.models.data.arrays import IntArray, UInt8Array
from rankscope.models.data.contract import VqaDataset
from rankscope.models.data.parts import Splits, VqaPart

COLOR_ANSWERS = frozenset({"red", "green", "blue", "black", "gray", "teal", "brown", "yellow"})
SHAPE_ANSWERS = frozenset({"circle", "rectangle", "triangle"})


class EasyVqa(VqaDataset):
    """easy-VQA at any picture size; a picture has about 9.6 questions."""

    model_config = ConfigDict(title="easy-VQA")

    kind: Literal["easy_vqa"] = "easy_vqa"
    probe_pictures: int = Field(
        54, ge=8, le=1000, description="Train pictures kept for the scheduler; 54: 509 questions."
    )
    validation_pictures: int = Field(
        106, ge=8, le=1000, description="Train pictures kept for validation; 106: 999 questions."
    )
    seed: int = Field(0, ge=0, lt=2**32, description="Which train pictures are kept apart.")

    @property
    @override
    def family(self) -> str:
        return "easy-vqa"

    @override
    def load(self, image_size_px: int, cache: Path | None = None) -> Splits[VqaPart]:
        published_train, test = _published_parts(image_size_px)
        shuffled = np.random.default_rng(self.seed).permutation(len(published_train.images_NHWC))
        probe, validation, train = np.split(
            shuffled, [self.probe_pictures, self.probe_pictures + self.validation_pictures]
        )
        return Splits(
            train=_about(published_train, train),
            probe=_about(published_train, probe),
            validation=_about(published_train, validation),
            test=test,
        )

    @override
    def texts(self, num_items: int, cache: Path | None = None) -> list[tuple[str, str]]:
        """The first published ones, whichever part they are dealt to."""
        questions, answers, _ = _easy_vqa().get_train_questions()
        return list(zip(questions[:num_items], answers[:num_items], strict=True))


def _about(part: VqaPart, image_ids: IntArray) -> VqaPart:
    """The items about the given pictures; they keep their published order."""
    return part.subset(np.flatnonzero(np.isin(part.image_ids_I, image_ids)))


def _published_parts(image_size_px: int) -> tuple[VqaPart, VqaPart]:
    """The published train and test part.

    Raises:
        ValueError: If the package is not installed.
    """
    easy_vqa = _easy_vqa()
    train = _part(easy_vqa.get_train_image_paths(), easy_vqa.get_train_questions(), image_size_px)
    test = _part(easy_vqa.get_test_image_paths(), easy_vqa.get_test_questions(), image_size_px)
    return train, test


def _easy_vqa() -> ModuleType:
    try:
        return import_module("easy_vqa")
    except ImportError as error:
        raise ValueError(
            "data set easy_vqa needs the package easy-vqa, which is not installed; "
            "run `pip install easy-vqa==1.0`"
        ) from error


def _part(
    paths: Mapping[int, str],
    items: tuple[Sequence[str], Sequence[str], Sequence[int]],
    image_size_px: int,
) -> VqaPart:
    questions, answers, published_ids = items
    index_by_id = {published_id: index for index, published_id in enumerate(sorted(paths))}
    return VqaPart(
        images_NHWC=_read([paths[key] for key in sorted(paths)], image_size_px),
        image_ids_I=np.array([index_by_id[key] for key in published_ids], dtype=np.int64),
        questions=tuple(questions),
        answers=tuple(answers),
        skills=tuple(map(_skill, answers)),
    )


def _read(paths: Sequence[str], image_size_px: int) -> UInt8Array:
    """Pictures at the wanted size, shape (len(paths), image_size_px, image_size_px, 3)."""
    from PIL import Image

    size = (image_size_px, image_size_px)
    images = np.empty((len(paths), *size, 3), dtype=np.uint8)
    for index, path in enumerate(paths):
        with Image.open(path) as picture:
            images[index] = np.asarray(
                picture.convert("RGB").resize(size, Image.Resampling.BILINEAR)
            )
    return images


def _skill(answer: str) -> str:
    """The kind of question, which easy-VQA's answers give away."""
    if answer in COLOR_ANSWERS:
        return "color"
    if answer in SHAPE_ANSWERS:
        return "shape"
    return "presence"
