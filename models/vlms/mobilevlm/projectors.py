"""MobileVLM's two projectors: vision features to a quarter as many language tokens.

Sources: LDP (Chu et al. 2023, arXiv 2312.16886, section 3.3: two inverted residual blocks of
MobileNetV3, Howard et al. 2019, arXiv 1905.02244, without expansion), LDPv2 (Chu et al. 2024, arXiv
2402.03766, section 3.3).

Shape letters: B batch, S patches (s a side), V visual tokens (v a side), D vision width, E language
width.
"""

import math

from torch import Tensor, nn
from torch.nn import functional
from transformers import initialization as init
from typing_extensions import override

from rankscope.models.vlms.mobilevlm.configuration import MobileVlmConfig

CHANNEL_MULTIPLE = 8
"""MobileNets keep channel counts divisible by it."""


def build_projector(config: MobileVlmConfig) -> "Ldp | LdpV2":
    """The projector that a configuration names.

    Raises:
        ValueError: If the name is unknown, or it cannot make as many tokens as configured.
    """
    vision_width, language_width = config.vision_config.hidden_size, config.text_config.hidden_size
    if config.projector == "ldpnetv2":
        return LdpV2(vision_width, language_width, config.visual_tokens_per_side)
    if config.projector != "ldpnet":
        raise ValueError(
            f"projector must be 'ldpnet' or 'ldpnetv2', got {config.projector!r}; choose one"
        )
    made = (config.patches_per_side + 1) // 2
    if config.visual_tokens_per_side != made:
        raise ValueError(
            f"ldpnet makes {made} tokens a side of {config.patches_per_side} patches, got "
            f"visual_tokens_per_side={config.visual_tokens_per_side}; set it to {made}"
        )
    return Ldp(vision_width, language_width)


def start_as_published(module: nn.Linear | nn.Conv2d) -> None:
    """PyTorch's own random start, which MobileVLM's projectors were trained from.

    The language model's (normal, 0.02) would begin depthwise kernels at a tenth of that. Weights
    that were loaded are left as they are.
    """
    init.kaiming_uniform_(module.weight, a=math.sqrt(5))
    if module.bias is not None:
        bound = 1 / math.sqrt(module.weight[0].numel())
        init.uniform_(module.bias, -bound, bound)


class Ldp(nn.Module):
    """Lightweight downsample projector of MobileVLM."""

    def __init__(self, vision_width: int, language_width: int) -> None:
        super().__init__()
        self.linear_1 = nn.Linear(vision_width, language_width)
        self.linear_2 = nn.Linear(language_width, language_width)
        self.block_1 = InvertedResidual(language_width, stride=1)
        self.block_2 = InvertedResidual(language_width, stride=2)

    @override
    def forward(self, features_BSD: Tensor) -> Tensor:
        """Visual tokens, shape (B, V, E), row by row."""
        x_BSE = self.linear_2(functional.gelu(self.linear_1(features_BSD)))
        return _as_tokens(self.block_2(self.block_1(_as_map(x_BSE))))


class LdpV2(nn.Module):
    """Lightweight downsample projector of MobileVLM V2: pooling, then a positional convolution."""

    def __init__(self, vision_width: int, language_width: int, tokens_per_side: int) -> None:
        super().__init__()
        self.linear_1 = nn.Linear(vision_width, language_width)
        self.linear_2 = nn.Linear(language_width, language_width)
        self.pool = nn.AdaptiveAvgPool2d(tokens_per_side)
        self.peg = nn.Conv2d(
            language_width, language_width, kernel_size=3, padding=1, groups=language_width
        )

    @override
    def forward(self, features_BSD: Tensor) -> Tensor:
        """Visual tokens, shape (B, V, E), row by row."""
        x_BSE = self.linear_2(functional.gelu(self.linear_1(features_BSD)))
        x_BEvv = self.pool(_as_map(x_BSE))
        return _as_tokens(self.peg(x_BEvv) + x_BEvv)


class InvertedResidual(nn.Module):
    """MobileNetV3's block at expansion 1: depthwise, squeeze-and-excitation, pointwise.

    With stride 1 the input is added to the output; with stride 2 a side is halved, rounded up.
    """

    def __init__(self, width: int, *, stride: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(
            width, width, kernel_size=3, stride=stride, padding=1, groups=width, bias=False
        )
        self.depthwise_norm = ChannelLayerNorm(width)
        self.gate = SqueezeExcitation(width)
        self.pointwise = nn.Conv2d(width, width, kernel_size=1, bias=False)
        self.pointwise_norm = ChannelLayerNorm(width)
        self.is_residual = stride == 1

    @override
    def forward(self, x_BEss: Tensor) -> Tensor:
        """Shape (B, E, s', s') with s' = ceil(s / stride)."""
        y_BEss: Tensor = functional.hardswish(self.depthwise_norm(self.depthwise(x_BEss)))
        y_BEss = self.pointwise_norm(self.pointwise(self.gate(y_BEss)))
        return x_BEss + y_BEss if self.is_residual else y_BEss


class ChannelLayerNorm(nn.LayerNorm):
    """Layer norm over the channels of a map, at every position by itself."""

    @override
    def forward(self, input: Tensor) -> Tensor:
        """Same shape as the input, (B, E, s, s)."""
        return super().forward(input.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class SqueezeExcitation(nn.Module):
    """Channels scaled by what their means say about each other."""

    def __init__(self, width: int) -> None:
        super().__init__()
        squeezed = _divisible(width // 4)
        self.squeeze = nn.Conv2d(width, squeezed, kernel_size=1)
        self.excite = nn.Conv2d(squeezed, width, kernel_size=1)

    @override
    def forward(self, x_BEss: Tensor) -> Tensor:
        """Same shape as the input."""
        means_BE11 = x_BEss.mean(dim=(2, 3), keepdim=True)
        scale_BE11 = functional.hardsigmoid(self.excite(functional.relu(self.squeeze(means_BE11))))
        return x_BEss * scale_BE11


def _divisible(channels: int) -> int:
    """The nearest multiple of 8, never below 8 nor less than nine tenths; MobileNet's rule."""
    nearest = (channels + CHANNEL_MULTIPLE // 2) // CHANNEL_MULTIPLE * CHANNEL_MULTIPLE
    nearest = max(CHANNEL_MULTIPLE, nearest)
    return nearest if nearest >= 0.9 * channels else nearest + CHANNEL_MULTIPLE


def _as_map(x_BSE: Tensor) -> Tensor:
    """(B, E, s, s) from patches row by row."""
    side = math.isqrt(x_BSE.shape[1])
    return x_BSE.transpose(1, 2).reshape(len(x_BSE), -1, side, side)


def _as_tokens(x_BEvv: Tensor) -> Tensor:
    return x_BEvv.flatten(2).transpose(1, 2)
