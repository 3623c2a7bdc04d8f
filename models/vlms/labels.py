"""Which tokens of a batch count towards the loss.

Shapes: B items, L tokens.
"""

from torch import Tensor

NOT_SCORED = -100
"""In labels, at tokens that do not count: what PyTorch's cross-entropy ignores."""


def num_scored(labels_BL: Tensor) -> int:
    """Tokens that a causal model's loss is the mean over: it never foretells the first."""
    return int((labels_BL[:, 1:] != NOT_SCORED).sum())
