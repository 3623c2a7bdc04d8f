"""Pictures of the emoji suites: one thing, a scene of up to four on a 2 x 2 grid, or a word.

Shape letters: H W C pixels and channels.
"""

from dataclasses import dataclass
from random import Random

import numpy as np

from rankscope.models.data.arrays import UInt8Array
from rankscope.models.data.emoji_pictures import PictureSet, Source

CELLS_PER_SIDE = 2
NUM_CELLS = CELLS_PER_SIDE**2

THEMED_FRACTION = 0.7

WORDS = ("stop", "open", "sale", "taxi", "exit", "hotel", "bank", "zoo")

_PAPERS = ((255, 255, 255), (246, 241, 228), (226, 238, 246), (232, 243, 230))
_INKS = ((20, 20, 20), (160, 25, 25), (20, 60, 150), (25, 105, 50))


@dataclass(frozen=True)
class Scene:
    """Things in cells, counted row by row; one thing alone fills the picture if ``is_single``."""

    things: dict[int, Source]
    is_single: bool = False


def sample_scene(pictures: PictureSet, num_things: int, rng: Random) -> Scene:
    """Different things, mostly of one theme, in random cells."""
    theme = rng.choice(pictures.themes)
    names: list[str] = []
    while len(names) < num_things:
        others = [name for name in pictures.things if name not in names]
        likely = [name for name in theme if name not in names]
        is_themed = likely and rng.random() < THEMED_FRACTION
        names.append(rng.choice(likely if is_themed else others))
    cells = rng.sample(range(NUM_CELLS), num_things)
    found = pictures.by_thing
    return Scene({c: rng.choice(found[n]) for c, n in zip(cells, names, strict=True)})


def draw_scene(scene: Scene, image_size_px: int, rng: Random) -> UInt8Array:
    """The things on coloured paper, RGB, shape (H, W, 3)."""
    from PIL import Image

    paper = Image.new("RGBA", (image_size_px, image_size_px), (*rng.choice(_PAPERS), 255))
    cell_px = image_size_px if scene.is_single else image_size_px // CELLS_PER_SIDE
    for cell, source in sorted(scene.things.items()):
        side = round(cell_px * rng.uniform(0.8, 0.95))
        picture = Image.fromarray(source.picture()).convert("RGBA")
        picture = picture.resize((side, side), Image.Resampling.BICUBIC)
        row, column = (0, 0) if scene.is_single else divmod(cell, CELLS_PER_SIDE)
        left, top = (rng.randint(0, cell_px - side) for _ in range(2))
        paper.alpha_composite(picture, (column * cell_px + left, row * cell_px + top))
    return np.asarray(paper.convert("RGB"))


def draw_word(word: str, image_size_px: int, rng: Random) -> UInt8Array:
    """A word in Pillow's own typeface; its case, size, place and colours vary."""
    from PIL import Image, ImageDraw, ImageFont

    paper = Image.new("RGB", (image_size_px, image_size_px), rng.choice(_PAPERS))
    text = rng.choice((word, word.upper(), word.capitalize()))
    canvas = ImageDraw.Draw(paper)
    font = ImageFont.load_default(size=rng.uniform(0.2, 0.28) * image_size_px)
    left, top, right, bottom = canvas.textbbox((0, 0), text, font=font)
    free = (max(0, image_size_px - right), max(0, image_size_px - bottom))
    place = tuple(rng.uniform(0.15, 0.85) * room for room in free)
    canvas.text((place[0] - left / 2, place[1] - top / 2), text, fill=rng.choice(_INKS), font=font)
    return np.asarray(paper)
