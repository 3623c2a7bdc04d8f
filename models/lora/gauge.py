"""The canonical gauge of a low-rank product: balanced SVD factors and the change of basis.

Shapes: O outputs, I inputs, R rank before, K rank kept.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

# Below this share of the largest singular value a component is numerical noise whose inverse square
# root would blow up the moments (ALGORITHMS 3.1).
_NULL_FRACTION = 1e-6


@dataclass(frozen=True)
class Gauge:
    """A product B A rewritten as ``b @ a``, components by falling singular value; float64.

    With B* = B P and A* = P^-1 A, gradients and first moments follow as dB* = dB ``change_b``
    (P^-T) and dA*' = dA' ``change_a`` (P). A null component (``live`` false) has a zero column in
    B, a unit row in A and zero columns in both changes: nothing of its past is kept.
    """

    b: Tensor
    """O x K."""
    a: Tensor
    """K x I."""
    singular: Tensor
    """All R singular values of B A, whatever is kept."""
    change_b: Tensor
    """R x K."""
    change_a: Tensor
    """R x K."""
    live: Tensor
    """K flags."""

    def first(self, rank: int) -> "Gauge":
        """The best approximation of the given rank (Eckart & Young 1936)."""
        return Gauge(
            b=self.b[:, :rank],
            a=self.a[:rank],
            singular=self.singular,
            change_b=self.change_b[:, :rank],
            change_a=self.change_a[:, :rank],
            live=self.live[:rank],
        )

    def dropped_norm(self) -> float:
        """Frobenius norm of what the kept components leave out."""
        return float(torch.linalg.vector_norm(self.singular[self.a.shape[0] :]))


def canonical(b_OR: Tensor, a_RI: Tensor) -> Gauge:
    """Balanced SVD factors of B A with fixed signs, all R components.

    A product whose B is all zero is untrained: its factors are left as they are, so that truncation
    keeps its first rows and their moments.

    Args:
        b_OR: Left factor.
        a_RI: Right factor; R must not exceed min(O, I).

    Source: ALGORITHMS 3.1. Signs: the largest entry of every left singular vector is positive.
    """
    b_OR, a_RI = b_OR.detach().double(), a_RI.detach().double()
    rank = a_RI.shape[0]
    if not b_OR.any():
        identity = torch.eye(rank, dtype=torch.float64, device=a_RI.device)
        none = torch.zeros(rank, dtype=torch.float64, device=a_RI.device)
        return Gauge(b_OR, a_RI, none, identity, identity, torch.ones_like(none, dtype=torch.bool))

    basis_b_OR, tri_b_RR = torch.linalg.qr(b_OR)
    basis_a_IR, tri_a_RR = torch.linalg.qr(a_RI.T)
    u_RR, singular_R, vt_RR = torch.linalg.svd(tri_b_RR @ tri_a_RR.T)
    left_OR = basis_b_OR @ u_RR
    peak_R = left_OR.abs().argmax(dim=0)
    sign_R = left_OR.gather(0, peak_R[None, :])[0].sign()
    left_OR, u_RR, vt_RR = left_OR * sign_R, u_RR * sign_R, vt_RR * sign_R[:, None]

    live_R = singular_R > _NULL_FRACTION * singular_R[0]
    root_R = torch.where(live_R, singular_R.sqrt(), 0.0)
    inverse_root_R = torch.where(live_R, singular_R.rsqrt(), 0.0)
    # A null row stays a unit vector: with its zero column in B it is a fresh direction that can
    # learn.
    row_norm_R = torch.where(live_R, root_R, 1.0)
    return Gauge(
        b=left_OR * root_R,
        a=row_norm_R[:, None] * (vt_RR @ basis_a_IR.T),
        singular=singular_R,
        change_b=tri_b_RR.T @ u_RR * inverse_root_R,
        change_a=tri_a_RR.T @ vt_RR.T * inverse_root_R,
        live=live_R,
    )


def distance(b_OR: Tensor, a_RI: Tensor, b_OK: Tensor, a_KI: Tensor) -> float:
    """Frobenius norm of B A - B* A* without forming either product."""
    left = torch.cat([b_OR.detach().double(), -b_OK.detach().double()], dim=1)
    right = torch.cat([a_RI.detach().double(), a_KI.detach().double()], dim=0)
    _, tri_left = torch.linalg.qr(left, mode="r")
    _, tri_right = torch.linalg.qr(right.T, mode="r")
    return float(torch.linalg.matrix_norm(tri_left @ tri_right.T))
