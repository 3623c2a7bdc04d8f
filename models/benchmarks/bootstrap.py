"""95 % intervals of figures that are no means: items, or groups of them, drawn anew by category.

The bootstrap's percentiles (Efron 1979), over items of a category, whose number stays. Where an
item has one of a few outcomes, drawing items anew is drawing their counts from a multinomial.

Shapes: R draws, C categories, K outcomes.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]

NUM_DRAWS = 10_000
_BOUNDS = (2.5, 97.5)


def drawn_anew(counts_CK: Sequence[Sequence[int]]) -> IntArray:
    """Counts of outcomes of as many items, drawn with replacement: (R, C, K), always the same."""
    rng = np.random.default_rng(0)
    draws = []
    for counts_K in np.asarray(counts_CK, dtype=np.int64):
        num_items = int(counts_K.sum())
        draws.append(rng.multinomial(num_items, counts_K / num_items, size=NUM_DRAWS))
    return np.stack(draws, axis=1)


def bounds(figures_R: Mapping[str, FloatArray]) -> dict[str, tuple[float, float]]:
    """The middle 95 % of what each figure came to; none where it came to one thing alone.

    All right or all wrong is drawn as that for ever: the bootstrap cannot say how sure it is.
    """
    found = {name: np.percentile(values_R, _BOUNDS) for name, values_R in figures_R.items()}
    return {name: (float(low), float(high)) for name, (low, high) in found.items() if low < high}


def ratio(part_R: IntArray, whole_R: IntArray) -> FloatArray:
    """Their quotient; 0 where nothing is divided."""
    return np.divide(part_R, whole_R, out=np.zeros(part_R.shape), where=whole_R > 0)
