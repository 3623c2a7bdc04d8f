"""The published sizes, counted on the meta device."""

import pytest
import torch
from torch import nn

from rankscope.models.lora.inventory import list_linears
from rankscope.models.vlms.mobilevlm.configuration import MobileVlmConfig, named_config
from rankscope.models.vlms.mobilevlm.modeling import MobileVlmForConditionalGeneration
from rankscope.models.vlms.settings import MobileVlmSize
from tests.unit.models.vlms.mobilevlm.tiny import tiny_config

LDP, LDP_V2 = (18_936_832, 28_913_920), (6_316_032, 9_205_760)
MOBILELLAMA = (1_364_297_728, 2_701_560_320)


def count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def on_meta(size: MobileVlmSize) -> MobileVlmForConditionalGeneration:
    with torch.device("meta"):
        return MobileVlmForConditionalGeneration(named_config(size))


@pytest.mark.parametrize(
    ("size", "projector", "language_model"),
    [
        ("v1_1.7b", LDP[0], MOBILELLAMA[0]),
        ("v1_3b", LDP[1], MOBILELLAMA[1]),
        ("v2_1.7b", LDP_V2[0], MOBILELLAMA[0]),
        ("v2_3b", LDP_V2[1], MOBILELLAMA[1]),
    ],
)
def test_the_published_models_have_their_published_numbers_of_parameters(
    size: MobileVlmSize, projector: int, language_model: int
) -> None:
    """LDP, C wide: 1024 C + C + C^2 + C, and twice 9 C + 2 C + (C^2/2 + C/4 + C) + C^2 + 2 C.

    With C = 2048: 6,295,552 + 2 x 6,320,640 = 18,936,832. LDPv2 has 10 C instead of the blocks:
    6,295,552 + 20,480 = 6,316,032.
    """
    model = on_meta(size)
    assert count(model.projector) == projector
    assert count(model.language_model) == language_model


def test_a_picture_is_144_tokens_and_the_context_2048() -> None:
    config = named_config("v1_3b")
    assert (config.patches_per_side, config.num_visual_tokens) == (24, 144)
    assert config.text_config.max_position_embeddings == 2048
    assert config.image_token_id == -200


def test_the_language_model_offers_seven_linears_a_layer_and_the_tower_23_layers() -> None:
    modules = list_linears(on_meta("v2_1.7b")).modules
    by_part = {part: [m for m in modules if m.part == part] for part in ("language", "vision")}
    assert len(by_part["language"]) == 7 * 24
    assert len(by_part["vision"]) == 6 * 23
    assert {m.layer for m in by_part["vision"]} == set(range(23))
    assert [m.name for m in modules if m.part == "projector"] == [
        "projector.linear_1",
        "projector.linear_2",
    ]


def test_a_configuration_survives_being_written() -> None:
    config = tiny_config("ldpnet")
    again = MobileVlmConfig.from_dict(config.to_dict())
    assert again.to_dict() == config.to_dict()
    assert (again.projector, again.num_visual_tokens, again.num_vision_layers) == ("ldpnet", 4, 1)


@pytest.mark.parametrize(("layer", "needed"), [(-2, 1), (-1, 2), (1, 1), (2, 2)])
def test_hidden_states_are_counted_from_the_embeddings(layer: int, needed: int) -> None:
    config = tiny_config()
    config.vision_feature_layer = layer
    assert config.num_vision_layers == needed


@pytest.mark.parametrize("layer", [0, 3, -3, -4])
def test_a_hidden_state_that_no_layer_gives_is_refused(layer: int) -> None:
    config = tiny_config()
    config.vision_feature_layer = layer
    with pytest.raises(ValueError, match=rf"one of the 2 layers' outputs, got {layer}; .*uses -2"):
        MobileVlmForConditionalGeneration(config)


def test_a_projector_of_another_name_is_refused() -> None:
    config = tiny_config()
    config.projector = "mlp2x_gelu"
    with pytest.raises(ValueError, match="got 'mlp2x_gelu'; choose one"):
        MobileVlmForConditionalGeneration(config)


def test_ldpnet_refuses_another_number_of_tokens_than_it_makes() -> None:
    config = tiny_config("ldpnet")
    config.visual_tokens_per_side = 3
    with pytest.raises(ValueError, match=r"makes 2 tokens a side of 4 patches, got .*=3; set it"):
        MobileVlmForConditionalGeneration(config)
