"""Textures: where a thing is filled with the second tone of its color.

Shape letters: T things, P pixels a side of a cell. All lengths are fractions of the cell's side.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]

PLAIN = "even"
# Three and two pixels of a 16-pixel cell: a large thing then shows at least four bands, and a
# triangle still has a core.
BAND = np.float32(0.19)
RIM = np.float32(0.12)


def _bands(place: FloatArray) -> FloatArray:
    """Signed distance to every other band across an axis, one of them on the center."""
    distance: FloatArray = np.abs(np.mod(place / BAND + 1, 2) - 1) * BAND - BAND / 2
    return distance


def _blocks(x: FloatArray, y: FloatArray) -> FloatArray:
    """Signed distance to every other square of a checkerboard: in a column or a row, not both."""
    column, row = _bands(x), _bands(y)
    distance: FloatArray = np.maximum(np.minimum(column, row), -np.maximum(column, row))
    return distance


# Signed distance to where the second tone lies, negative inside, of x, y and the signed distance
# to the thing's outline. Named by the words of the embedded model that say it best.
_SECOND_TONES: Mapping[str, Callable[[FloatArray, FloatArray, FloatArray], FloatArray]] = {
    "row": lambda x, y, outline: _bands(y),  # noqa: ARG005 - all are called alike
    "column": lambda x, y, outline: _bands(x),  # noqa: ARG005
    "half": lambda x, y, outline: y,  # noqa: ARG005
    "edge": lambda x, y, outline: -outline - RIM,  # noqa: ARG005
    "block": lambda x, y, outline: _blocks(x, y),  # noqa: ARG005
}
TEXTURES = (PLAIN, *_SECOND_TONES)


def second_shares(
    textures: Sequence[str], x_T1P: FloatArray, y_TP1: FloatArray, outline_TPP: FloatArray
) -> FloatArray:
    """How much of each pixel of each thing has the second tone, 0 to 1, shape (T, P, P).

    Args:
        textures: One of ``TEXTURES`` per thing; a plain thing has one tone only.
        x_T1P: Places across, from the thing's center.
        y_TP1: Places down, from the thing's center.
        outline_TPP: Signed distance to the thing's outline, negative inside.
    """
    cell_px = outline_TPP.shape[-1]
    share_TPP = np.zeros_like(outline_TPP)
    texture_T = np.array([TEXTURES.index(texture) for texture in textures])
    for index, distance_to in enumerate(_SECOND_TONES.values(), start=1):
        chosen = np.flatnonzero(texture_T == index)
        distance = distance_to(x_T1P[chosen], y_TP1[chosen], outline_TPP[chosen])
        share_TPP[chosen] = np.clip(0.5 - distance * cell_px, 0.0, 1.0)
    return share_TPP
