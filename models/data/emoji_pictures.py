"""What every set of published pictures gives: things, and pictures that show one of them each.

Shape letters: H W C pixels and channels.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from random import Random
from typing import Literal

import numpy as np
from typing_extensions import override

from rankscope.models.data.arrays import UInt8Array

PartName = Literal["train", "probe", "validation", "test"]


@dataclass(frozen=True)
class Source(ABC):
    """One published picture.

    Args:
        key: What it is told by within its set.
        thing: What it shows, one of the set's things.
        part: The part of the data set that it belongs to; no setting and no seed moves it.
    """

    key: str
    thing: str
    part: PartName

    @abstractmethod
    def picture(self) -> UInt8Array:
        """The picture, RGB or RGBA, shape (H, W, C)."""


@dataclass(frozen=True)
class PictureFile(Source):
    """One that lies in a file of its own and is decoded whenever it is drawn."""

    file: Path

    @override
    def picture(self) -> UInt8Array:
        from PIL import Image

        with Image.open(self.file) as picture:
            return np.asarray(picture.convert("RGBA"))


@dataclass(frozen=True)
class PictureSet:
    """Published pictures of one origin.

    Args:
        things: What they show, by the names that suites use.
        themes: Things that go together: what is asked about absent things can then be likely or
            unlikely.
        sources: The pictures.
    """

    things: tuple[str, ...]
    themes: tuple[tuple[str, ...], ...]
    sources: tuple[Source, ...]

    def of_part(self, name: PartName) -> "PictureSet":
        """Only the pictures of one part, in their order."""
        return replace(self, sources=tuple(s for s in self.sources if s.part == name))

    def shuffled(self, rng: Random) -> "PictureSet":
        """The same pictures in another order."""
        return replace(self, sources=tuple(rng.sample(self.sources, len(self.sources))))

    @cached_property
    def by_thing(self) -> dict[str, list[Source]]:
        """Pictures of every thing, in their order."""
        return {thing: [s for s in self.sources if s.thing == thing] for thing in self.things}
