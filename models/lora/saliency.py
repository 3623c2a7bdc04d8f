"""The saliency of every LoRA component: how much the training loss would change without it.

Shapes: O outputs (d_out), R rank.
"""

import torch
from torch import Tensor
from typing_extensions import TypedDict

from rankscope.models.lora.elastic import ElasticLora
from rankscope.models.lora.resize import ResizeReport


class ModuleSaliency(TypedDict):
    """State of one module, plain JSON: decayed sums and the weights that divide them."""

    sums: list[float]
    weights: list[float]


class SaliencyTracker:
    """Exponential mean of |b_k . dB_k| per component, dB the gradient of B.

    In any gauge b_k . dB_k is the first-order fall of the loss when component k is deleted
    (ALGORITHMS 3.1); dB holds the scale s already. The mean is divided by its own weight, so that
    young components are not biased towards 0.

    Args:
        elastic: The adapters to watch.
        decay: Share of the mean that an update keeps, in [0, 1); 0.9 looks back ten steps.

    Raises:
        ValueError: If ``decay`` is out of range.
    """

    def __init__(self, elastic: ElasticLora, decay: float = 0.9) -> None:
        if not 0.0 <= decay < 1.0:
            raise ValueError(
                f"decay must lie in [0, 1), got {decay}; 0.9 looks back about ten steps"
            )
        self._elastic = elastic
        self._decay = decay
        self._sums: dict[str, Tensor] = {}
        self._weights: dict[str, Tensor] = {}
        for name in elastic.ranks():
            self._reset(name)

    @torch.no_grad()
    def update(self) -> None:
        """Take in the present gradients: after backward, unscaled, before they are zeroed.

        A module without a gradient (frozen, or rank 0) is left as it is.
        """
        for name in self._sums:
            _, b_OR = self._elastic.parameters_of(name)
            if b_OR.grad is None:
                continue
            change_R = (b_OR * b_OR.grad).sum(dim=0).abs()
            self._sums[name].mul_(self._decay).add_(change_R, alpha=1.0 - self._decay)
            self._weights[name].mul_(self._decay).add_(1.0 - self._decay)

    def values(self) -> dict[str, tuple[float, ...]]:
        """Per module the saliency of its components (loss units); 0 where none was seen yet."""
        return {
            name: tuple((sums / self._weights[name].clamp_min(1e-30)).tolist())
            for name, sums in self._sums.items()
        }

    def follow(self, report: ResizeReport) -> None:
        """Follow a resize: a growing module keeps its components' past, a shrunk one starts anew.

        Shrinking re-gauges a module, and the mean of absolute values cannot be carried into another
        gauge.
        """
        for move in report.modules:
            if move.new_rank < move.old_rank:
                self._reset(move.name)
            else:
                num_new = move.new_rank - move.old_rank
                for table in (self._sums, self._weights):
                    old_R = table[move.name]
                    table[move.name] = torch.cat([old_R, old_R.new_zeros(num_new)])

    def state(self) -> dict[str, ModuleSaliency]:
        """Plain JSON for a checkpoint."""
        return {
            name: {"sums": sums.tolist(), "weights": self._weights[name].tolist()}
            for name, sums in self._sums.items()
        }

    def load(self, state: dict[str, ModuleSaliency]) -> None:
        """Take up a checkpoint's state; load the adapters first, for the ranks must agree.

        Raises:
            ValueError: If modules or ranks differ from the present ones.
        """
        ranks = {name: len(module["sums"]) for name, module in state.items()}
        if ranks != self._elastic.ranks():
            raise ValueError(
                "saliency must have one entry per component of the present ranks, got another rank "
                "table; load the adapters of the same checkpoint first"
            )
        for name, module in state.items():
            self._sums[name] = self._sums[name].new_tensor(module["sums"])
            self._weights[name] = self._weights[name].new_tensor(module["weights"])

    def _reset(self, name: str) -> None:
        _, b_OR = self._elastic.parameters_of(name)
        self._sums[name] = torch.zeros(b_OR.shape[1], device=b_OR.device)
        self._weights[name] = torch.zeros(b_OR.shape[1], device=b_OR.device)
