"""Drawing scenes: shapes on a plain ground, at once for all things of all pictures.

Shape letters: N pictures, T things, G cells a side, P pixels a side of a cell, C color channels.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rankscope.models.data.arrays import UInt8Array
from rankscope.models.data.scenes_textures import PLAIN, second_shares

COLORS = ("red", "green", "blue", "yellow", "purple", "orange", "black", "gray")

# How far the second tone of a texture goes from the color towards white: the tones are far enough
# apart in every color, and no color's second tone is another color.
WHITENING = np.float32(0.65)

FloatArray = npt.NDArray[np.float32]


def _triangle(x: FloatArray, y: FloatArray, radius: FloatArray) -> FloatArray:
    low = y - 0.15 * radius
    distance: FloatArray = np.maximum(low, 0.866 * np.abs(x) - 0.5 * low) - 0.56 * radius
    return distance


def _cross(x: FloatArray, y: FloatArray, radius: FloatArray) -> FloatArray:
    bar = np.maximum(np.abs(x) - radius, np.abs(y) - 0.3 * radius)
    pole = np.maximum(np.abs(y) - radius, np.abs(x) - 0.3 * radius)
    distance: FloatArray = np.minimum(bar, pole)
    return distance


# Signed distance of (x, y) to an outline, negative inside; y grows downwards. The factors
# make all shapes look equally large.
_DISTANCES: Mapping[str, Callable[[FloatArray, FloatArray, FloatArray], FloatArray]] = {
    "circle": lambda x, y, r: np.hypot(x, y) - 0.95 * r,
    "square": lambda x, y, r: np.maximum(np.abs(x), np.abs(y)) - 0.85 * r,
    "triangle": _triangle,
    "diamond": lambda x, y, r: (np.abs(x) + np.abs(y) - 1.1 * r) * np.float32(0.5**0.5),
    "cross": _cross,
    "ring": lambda x, y, r: np.abs(np.hypot(x, y) - 0.76 * r) - 0.22 * r,
}
SHAPES = tuple(_DISTANCES)


@dataclass(frozen=True, slots=True)
class Thing:
    """One colored shape; cells count row by row, a radius is a fraction of the cell's side."""

    color: str
    shape: str
    cell: int
    radius: float
    texture: str = PLAIN


Scene = tuple[Thing, ...]


@dataclass(frozen=True)
class Look:
    """How scenes are rendered.

    Args:
        palette: Red, green and blue, 0 to 255, of every color.
        ground: Lowest and highest brightness of the ground, 0 to 255, drawn per picture.
    """

    palette: Mapping[str, tuple[int, int, int]]
    ground: tuple[int, int]


PAPER = Look(
    palette={
        "red": (215, 40, 40),
        "green": (40, 160, 60),
        "blue": (40, 70, 210),
        "yellow": (235, 205, 40),
        "purple": (140, 60, 180),
        "orange": (240, 130, 30),
        "black": (25, 25, 25),
        "gray": (130, 130, 130),
    },
    ground=(215, 255),
)


def draw(
    scenes: Sequence[Scene], look: Look, image_size_px: int, cells_per_side: int, seed: int
) -> UInt8Array:
    """Pictures of the scenes, shape (N, image_size_px, image_size_px, 3).

    Tint, place within the cell and proportions vary with ``seed``: no two pictures are equal.

    Raises:
        ValueError: If the cells do not fill the picture.
    """
    if image_size_px % cells_per_side:
        raise ValueError(
            f"image_size_px must be a multiple of {cells_per_side}, got {image_size_px}; "
            f"take {image_size_px - image_size_px % cells_per_side}"
        )
    rng = np.random.default_rng(seed)
    cell_px = image_size_px // cells_per_side
    ground_NC = _grounds(look, len(scenes), rng)
    # Cells first, pictures last: every thing then fills one contiguous block.
    cells_NGGPPC = np.empty(
        (len(scenes), cells_per_side, cells_per_side, cell_px, cell_px, 3), dtype=np.uint8
    )
    cells_NGGPPC[:] = ground_NC.astype(np.uint8)[:, None, None, None, None, :]
    things = [thing for scene in scenes for thing in scene]
    if things:
        scene_T = np.repeat(np.arange(len(scenes)), [len(scene) for scene in scenes])
        row_T, column_T = np.divmod([thing.cell for thing in things], cells_per_side)
        x_T1P, y_TP1 = _own_axes(things, cell_px, rng)
        distance_TPP = _distances(things, x_T1P, y_TP1)
        color_TC = _tints(things, look, rng)
        paint_TPPC = _paints(things, color_TC, (x_T1P, y_TP1), distance_TPP, rng)
        ground_T11C = ground_NC[scene_T][:, None, None, :]
        alpha_TPP1 = np.clip(0.5 - distance_TPP * cell_px, 0.0, 1.0)[..., None]
        mixed_TPPC = alpha_TPP1 * (paint_TPPC - ground_T11C)
        mixed_TPPC += ground_T11C
        cells_NGGPPC[scene_T, row_T, column_T] = mixed_TPPC
    images = cells_NGGPPC.transpose(0, 1, 3, 2, 4, 5)
    return images.reshape(len(scenes), image_size_px, image_size_px, 3)


def _grounds(look: Look, num_scenes: int, rng: np.random.Generator) -> FloatArray:
    """One plain colour per picture: a gray of the look's range with a slight tint, shape (N, C)."""
    gray_N = rng.uniform(*look.ground, size=(num_scenes, 1))
    return np.clip(gray_N + rng.normal(0, 5, size=(num_scenes, 3)), 0, 255).astype(np.float32)


def _tints(things: Sequence[Thing], look: Look, rng: np.random.Generator) -> FloatArray:
    """Each thing's own shade of its color, shape (T, C)."""
    color_TC = np.array([look.palette[thing.color] for thing in things], dtype=np.float32)
    shade_TC = rng.normal(0, 9, size=color_TC.shape)
    return np.clip(color_TC + shade_TC, 0, 255).astype(np.float32)


def _own_axes(
    things: Sequence[Thing], cell_px: int, rng: np.random.Generator
) -> tuple[FloatArray, FloatArray]:
    """Every pixel's place as seen from its thing's center, in cells: (T, 1, P) and (T, P, 1)."""
    radius_T = np.array([thing.radius for thing in things], dtype=np.float32)
    # 0.9 keeps the whole thing inside its cell, proportions up to 1.1 included.
    slack_T = np.maximum(0.0, 0.5 - radius_T) * 0.9
    offset_T2 = (rng.uniform(-1, 1, size=(len(things), 2)) * slack_T[:, None]).astype(np.float32)
    stretch_T11 = rng.uniform(0.95, 1.05, size=len(things)).astype(np.float32)[:, None, None]
    axis_P = ((np.arange(cell_px, dtype=np.float32) + 0.5) / cell_px) - 0.5
    x_T1P = (axis_P[None, None, :] - offset_T2[:, 0, None, None]) / stretch_T11
    y_TP1 = (axis_P[None, :, None] - offset_T2[:, 1, None, None]) * stretch_T11
    return x_T1P, y_TP1


def _distances(things: Sequence[Thing], x_T1P: FloatArray, y_TP1: FloatArray) -> FloatArray:
    """Signed distance of every pixel to its thing's outline, in cells, shape (T, P, P)."""
    radius_T = np.array([thing.radius for thing in things], dtype=np.float32)
    cell_px = x_T1P.shape[-1]
    distance_TPP = np.empty((len(things), cell_px, cell_px), dtype=np.float32)
    shape_T = np.array([SHAPES.index(thing.shape) for thing in things])
    for index, distance_to in enumerate(_DISTANCES.values()):
        chosen = np.flatnonzero(shape_T == index)
        distance_TPP[chosen] = distance_to(
            x_T1P[chosen], y_TP1[chosen], radius_T[chosen, None, None]
        )
    return distance_TPP


def _paints(
    things: Sequence[Thing],
    color_TC: FloatArray,
    axes: tuple[FloatArray, FloatArray],
    distance_TPP: FloatArray,
    rng: np.random.Generator,
) -> FloatArray:
    """What fills each thing, (T, P, P, C), or (T, 1, 1, C) where no thing has a texture.

    A textured thing is partly filled with a lighter tone of its color; chance says which part.
    """
    color_T11C = color_TC[:, None, None, :]
    textures = [thing.texture for thing in things]
    if all(texture == PLAIN for texture in textures):
        return color_T11C
    share_TPP = second_shares(textures, *axes, distance_TPP)
    is_swapped_T = (rng.random(len(things)) < 0.5) & (np.array(textures) != PLAIN)
    share_TPP[is_swapped_T] = 1 - share_TPP[is_swapped_T]
    paint_TPPC: FloatArray = share_TPP[..., None] * (WHITENING * (255 - color_T11C))
    paint_TPPC += color_T11C
    return paint_TPPC
