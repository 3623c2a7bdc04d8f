"""The projectors' arithmetic, worked by hand where it can be."""

import pytest
import torch
from torch import Tensor, nn

from rankscope.models.vlms.mobilevlm.projectors import (
    ChannelLayerNorm,
    InvertedResidual,
    Ldp,
    LdpV2,
    SqueezeExcitation,
)
from tests.unit.models.vlms.mobilevlm.tiny import tiny_model

PATCHES = torch.arange(10.0, 170.0, 10.0).reshape(1, 16, 1)
"""4 x 4 patches of one channel, 10 to 160 row by row; so large that GELU leaves them alone."""


def filled(module: nn.Module, value: float) -> None:
    for parameter in module.parameters():
        nn.init.constant_(parameter, value)


def one_channel(projector: LdpV2, *, kernel_center: float) -> LdpV2:
    for linear in (projector.linear_1, projector.linear_2):
        nn.init.constant_(linear.weight, 1.0)
        nn.init.zeros_(linear.bias)
    filled(projector.peg, 0.0)
    with torch.no_grad():
        projector.peg.weight[..., 1, 1] = kernel_center
    return projector


def test_ldpv2_averages_squares_of_patches_row_by_row() -> None:
    """10 + 20 + 50 + 60 = 4 x 35, then 55, 115 and 135."""
    tokens = one_channel(LdpV2(1, 1, 2), kernel_center=0.0)(PATCHES)
    assert tokens.flatten().tolist() == [35.0, 55.0, 115.0, 135.0]


def test_the_convolution_of_ldpv2_is_added_to_what_it_reads() -> None:
    tokens = one_channel(LdpV2(1, 1, 2), kernel_center=1.0)(PATCHES)
    assert tokens.flatten().tolist() == [70.0, 110.0, 230.0, 270.0]


def test_patches_keep_their_order() -> None:
    tokens = one_channel(LdpV2(1, 1, 4), kernel_center=0.0)(PATCHES)
    assert torch.equal(tokens, PATCHES)


def test_ldp_leaves_a_quarter_of_the_patches() -> None:
    assert Ldp(8, 16)(torch.randn(3, 36, 8)).shape == (3, 9, 16)


def test_a_block_of_stride_one_adds_its_input() -> None:
    """With all its weights 0 the block itself says 0."""
    x = torch.randn(1, 8, 4, 4)
    same, halved = InvertedResidual(8, stride=1), InvertedResidual(8, stride=2)
    filled(same, 0.0)
    filled(halved, 0.0)
    assert torch.equal(same(x), x)
    assert torch.equal(halved(x), torch.zeros(1, 8, 2, 2))


def test_a_block_is_what_mobilenet_v3_says_it_is() -> None:
    """Depthwise, norm, hard swish, gate, pointwise, norm: written out with PyTorch's functions."""
    torch.manual_seed(0)
    block = InvertedResidual(8, stride=2)
    x = torch.randn(2, 8, 5, 5)

    def norm(y: Tensor) -> Tensor:
        centered = y - y.mean(1, keepdim=True)
        return centered / (centered.square().mean(1, keepdim=True) + 1e-5).sqrt()

    y = nn.functional.conv2d(x, block.depthwise.weight, stride=2, padding=1, groups=8)
    y = nn.functional.hardswish(norm(y))
    scale = block.gate.excite(block.gate.squeeze(y.mean((2, 3), keepdim=True)).relu())
    y = y * (scale / 6 + 0.5).clamp(0, 1)
    y = norm(torch.einsum("oi,bihw->bohw", block.pointwise.weight[..., 0, 0], y))
    torch.testing.assert_close(block(x), y)


def test_the_norm_looks_at_one_position_at_a_time() -> None:
    """(-1, 1) is normal already, whatever the scale: 3 and 5 or 0 and 200 become the same."""
    x = torch.tensor([[3.0, 0.0], [5.0, 200.0]]).reshape(1, 2, 1, 2)
    expected = torch.tensor([[-1.0, -1.0], [1.0, 1.0]]).reshape(1, 2, 1, 2)
    torch.testing.assert_close(ChannelLayerNorm(2)(x), expected, atol=1e-4, rtol=0)


def test_a_gate_without_weights_halves() -> None:
    gate = SqueezeExcitation(16)
    filled(gate, 0.0)
    assert torch.equal(gate(torch.full((1, 16, 2, 2), 6.0)), torch.full((1, 16, 2, 2), 3.0))


@pytest.mark.parametrize(("width", "squeezed"), [(2048, 512), (2560, 640), (64, 16), (16, 8)])
def test_a_gate_squeezes_to_a_quarter_in_eights(width: int, squeezed: int) -> None:
    with torch.device("meta"):
        assert SqueezeExcitation(width).squeeze.out_channels == squeezed


def test_projectors_begin_as_pytorch_begins_them() -> None:
    """A depthwise 3 x 3 kernel begins uniform within 1 / sqrt(9), not normal with 0.02."""
    projector = tiny_model("ldpnet").projector
    assert isinstance(projector, Ldp)
    for block in (projector.block_1, projector.block_2):
        assert 0.3 < float(block.depthwise.weight.detach().abs().max()) <= 1 / 3
