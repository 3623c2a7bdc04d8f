"""Adam's moments of a factor whose components are re-gauged, dropped or added.

Shapes: X outputs (for B) or inputs (for A, transposed), R rank before, K rank after: components
come last.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor


@dataclass(frozen=True)
class Moments:
    """Adam's state of one factor: X x R, not bias-corrected."""

    step: Tensor
    first: Tensor
    second: Tensor
    beta1: float
    beta2: float

    def transposed(self) -> "Moments":
        """The same moments with the two axes swapped, to turn A's layout into B's and back."""
        return replace(self, first=self.first.T, second=self.second.T)


def transported(moments: Moments, change_RK: Tensor, live_K: Tensor) -> Moments | None:
    """Moments after a change of gauge under which gradients become dX ``change_RK``.

    First moments are linear in the gradients and follow exactly. Second moments are diagonal and
    follow the projection-aware rule: the variance estimate is carried by the squared change, the
    mean by the change itself. Null components get the first moment 0 and, as in `grown`, the mean
    second moment of the live ones (ALGORITHMS 3.1 asks for zero; with an old step count that would
    make the first update of B about (1 - beta1) / sqrt(1 - beta2) = 3.2 learning rates, which 3.3
    forbids).

    Args:
        moments: State before; the step count must be positive.
        change_RK: Change of gauge, zero columns where ``live_K`` is false.
        live_K: Which components have a past.

    Returns:
        State after, in the dtypes of before; None if no component has a past and the state must
        start anew.

    Source: ALGORITHMS 3.2; LDAdam (Robert et al., ICLR 2025, arXiv 2410.16103).
    """
    if not live_K.any():
        return None
    correction1 = 1.0 - moments.beta1 ** float(moments.step)
    correction2 = 1.0 - moments.beta2 ** float(moments.step)
    first_XR = moments.first.double()
    first_XK = first_XR @ change_RK
    mean_XR, raw_XR = first_XR / correction1, moments.second.double() / correction2
    variance_XK = (raw_XR - mean_XR.square()) @ change_RK.square()
    second_XK = correction2 * (variance_XK + (mean_XR @ change_RK).square()).abs()
    second_XK[:, ~live_K] = second_XK[:, live_K].mean(dim=1, keepdim=True)
    return replace(
        moments,
        first=first_XK.to(moments.first.dtype),
        second=second_XK.to(moments.second.dtype),
    )


def scaled(moments: Moments, factor: float) -> Moments:
    """Moments after the parameter was divided by ``factor``, which multiplies its gradients.

    Source: ALGORITHMS 3.4, choice b.
    """
    return replace(moments, first=moments.first * factor, second=moments.second * factor**2)


def grown(moments: Moments, num_new: int) -> Moments | None:
    """Moments after ``num_new`` components were appended.

    New first moments are 0; new second moments are the mean of the existing ones, because 0 beside
    an old step count would overshoot the first update.

    Returns:
        State after; None for a factor that had no component and must start anew.

    Source: ALGORITHMS 3.3, without its gradient sketch.
    """
    num_old = moments.first.shape[1]
    if num_old == 0:
        return None
    new_first_XN = moments.first.new_zeros(moments.first.shape[0], num_new)
    new_second_XN = moments.second.mean(dim=1, keepdim=True).expand(-1, num_new)
    return replace(
        moments,
        first=torch.cat([moments.first, new_first_XN], dim=1),
        second=torch.cat([moments.second, new_second_XN], dim=1),
    )
