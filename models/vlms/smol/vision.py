"""EfficientNet-Lite0 up to its last feature map, in the names of the published weights.

Source: Tan and Le 2019, arXiv 1905.11946; the Lite variant has no squeeze-and-excitation, ReLU6
for swish, and stem and head of fixed width. Convolutions pad as TensorFlow does ("same").

Shape letters: P pictures, D feature width, s cells a side, C H W channels and pixels.
"""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional
from typing_extensions import override

STEM_WIDTH = 32
NORM_EPSILON = 1e-3


class Stage(NamedTuple):
    """A stack of blocks of one width; the first of them has the stride."""

    num_blocks: int
    kernel: int
    stride: int
    expansion: int
    width: int


LITE0_STAGES = (
    Stage(1, 3, 1, 1, 16),
    Stage(2, 3, 2, 6, 24),
    Stage(2, 5, 2, 6, 40),
    Stage(3, 3, 2, 6, 80),
    Stage(3, 5, 1, 6, 112),
    Stage(4, 5, 2, 6, 192),
    Stage(1, 3, 1, 6, 320),
)
LITE0_WIDTH = 1280


class SameConv(nn.Conv2d):
    """A convolution that pads so that the output has ceil(size / stride) cells a side."""

    def __init__(
        self, d_in: int, d_out: int, kernel: int, stride: int = 1, groups: int = 1
    ) -> None:
        super().__init__(d_in, d_out, kernel, stride=stride, groups=groups, bias=False)

    @override
    def forward(self, input: Tensor) -> Tensor:
        """Where padding is odd, the larger half goes right and below."""
        kernel, stride = self.kernel_size[0], self.stride[0]
        sizes = (input.shape[-1], input.shape[-2])
        totals = [max((-(-size // stride) - 1) * stride + kernel - size, 0) for size in sizes]
        padding = [part for total in totals for part in (total // 2, total - total // 2)]
        return super().forward(functional.pad(input, padding))


class Block(nn.Module):
    """Expand, filter every channel by itself, project; added to its input where shapes agree."""

    def __init__(self, d_in: int, stage: Stage, stride: int) -> None:
        super().__init__()
        inner = d_in * stage.expansion
        self._is_residual = stride == 1 and d_in == stage.width
        if stage.expansion != 1:
            self._expand_conv = SameConv(d_in, inner, 1)
            self._bn0 = nn.BatchNorm2d(inner, eps=NORM_EPSILON)
        self._depthwise_conv = SameConv(inner, inner, stage.kernel, stride, groups=inner)
        self._bn1 = nn.BatchNorm2d(inner, eps=NORM_EPSILON)
        self._project_conv = SameConv(inner, stage.width, 1)
        self._bn2 = nn.BatchNorm2d(stage.width, eps=NORM_EPSILON)
        self._expands = stage.expansion != 1

    @override
    def forward(self, x_PDss: Tensor) -> Tensor:
        """The block's output, a feature map of its own width."""
        inner = x_PDss
        if self._expands:
            inner = functional.relu6(self._bn0(self._expand_conv(inner)))
        inner = functional.relu6(self._bn1(self._depthwise_conv(inner)))
        output: Tensor = self._bn2(self._project_conv(inner))
        return output + x_PDss if self._is_residual else output


class EfficientNetLite(nn.Module):
    """The frozen vision tower; always in evaluation mode, so that its statistics stay as they are.

    Args:
        stages: Stacks of blocks, Lite0's by default.
        width: Of the last feature map.
    """

    def __init__(self, stages: tuple[Stage, ...] = LITE0_STAGES, width: int = LITE0_WIDTH) -> None:
        super().__init__()
        self._conv_stem = SameConv(3, STEM_WIDTH, 3, stride=2)
        self._bn0 = nn.BatchNorm2d(STEM_WIDTH, eps=NORM_EPSILON)
        self._blocks = nn.ModuleList(_blocks(stages))
        self._conv_head = SameConv(stages[-1].width, width, 1)
        self._bn1 = nn.BatchNorm2d(width, eps=NORM_EPSILON)

    @override
    def train(self, mode: bool = True) -> "EfficientNetLite":
        """Batch statistics of a frozen tower must not move."""
        del mode
        return super().train(False)

    @override
    @torch.no_grad()
    def forward(self, pixels_PCHW: Tensor) -> Tensor:
        """Feature maps (P, D, s, s) with s = ceil(size / 32)."""
        x_PDss = functional.relu6(self._bn0(self._conv_stem(pixels_PCHW)))
        for block in self._blocks:
            x_PDss = block(x_PDss)
        return functional.relu6(self._bn1(self._conv_head(x_PDss)))


def _blocks(stages: tuple[Stage, ...]) -> Iterator[Block]:
    width = STEM_WIDTH
    for stage in stages:
        for number in range(stage.num_blocks):
            yield Block(width, stage, stage.stride if number == 0 else 1)
            width = stage.width
