"""How strongly a module's adapter acts, by its rank."""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Scaling:
    """Factor s in y = W x + s B A x: the same at every rank, or rsLoRA's.

    Args:
        scale: s at every rank, or, with ``rs_rank``, the alpha over that rank.
        rs_rank: rsLoRA's reference, the budget as the same rank everywhere: s is then
            ``scale`` ``rs_rank`` / sqrt(rank).

    Source: ALGORITHMS 3.4, choices a and b; Kalajdzievski 2023, arXiv 2312.03732, alpha / sqrt(r).
    """

    scale: float
    rs_rank: float | None = None

    def at(self, rank: int) -> float:
        """The factor at a rank; at rank 0, where it multiplies nothing, that of rank 1."""
        if self.rs_rank is None:
            return self.scale
        return self.scale * self.rs_rank / math.sqrt(max(rank, 1))
