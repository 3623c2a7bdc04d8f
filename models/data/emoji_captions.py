"""Twemoji pictures with words for what they show: what a projector is fitted to before training.

They are of the train part alone, whatever a run's seed.

Shape letters: H W C pixels and channels.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

from rankscope.models.data.arrays import UInt8Array
from rankscope.models.data.emoji_pictures import PartName
from rankscope.models.data.emoji_scenes import (
    NUM_CELLS,
    WORDS,
    Scene,
    draw_scene,
    draw_word,
    sample_scene,
)
from rankscope.models.data.emoji_twemoji import twemoji

NOTHING = "nothing"
NUM_SCENES = 300
DRAWINGS_PER_WORD = 20


@dataclass(frozen=True)
class Captioned:
    """A picture; ``whole`` says what it shows, ``cells`` what its cells show, row by row."""

    image_HWC: UInt8Array
    whole: str | None = None
    cells: tuple[str, ...] | None = None


def captioned(image_size_px: int, part: PartName = "train") -> Iterator[Captioned]:
    """Single things, scenes and words, the same every time."""
    rng = Random("emoji captions")  # noqa: S311 - pictures, not secrets
    pictures = twemoji().of_part(part)
    for source in pictures.sources:
        scene = Scene({0: source}, is_single=True)
        yield Captioned(draw_scene(scene, image_size_px, rng), whole=source.thing)
    for number in range(NUM_SCENES):
        scene = sample_scene(pictures, 1 + number % NUM_CELLS, rng)
        cells = tuple(
            scene.things[cell].thing if cell in scene.things else NOTHING
            for cell in range(NUM_CELLS)
        )
        yield Captioned(draw_scene(scene, image_size_px, rng), cells=cells)
    for word in WORDS * DRAWINGS_PER_WORD:
        yield Captioned(draw_word(word, image_size_px, rng), whole=word)
