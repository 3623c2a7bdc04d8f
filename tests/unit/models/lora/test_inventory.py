from collections.abc import Callable

import pytest
import torch
from torch import nn
from transformers import LlamaConfig, LlamaForCausalLM

from rankscope.models.inventory import PARTS, place_of
from rankscope.models.lora.inventory import find_modules

EVERY_PART = frozenset(PARTS)


def nested(*paths: str) -> nn.Module:
    """A module tree with a linear of 3 inputs and 2 outputs at every path."""
    root = nn.Module()
    for path in paths:
        *parents, last = path.split(".")
        node = root
        for parent in parents:
            if not hasattr(node, parent):
                node.add_module(parent, nn.Module())
            node = node.get_submodule(parent)
        node.add_module(last, nn.Linear(3, 2))
    return root


def test_every_projection_of_a_llama_is_found_in_model_order(
    make_llama: Callable[[], LlamaForCausalLM],
) -> None:
    model = make_llama()
    inventory = find_modules(model, ".*", EVERY_PART)
    names = [module.name for module in inventory.modules]
    linears = [name for name, module in model.named_modules() if isinstance(module, nn.Linear)]
    assert names == [name for name in linears if name != "lm_head"]
    assert [module.layer for module in inventory.modules] == [0] * 7 + [1] * 7
    assert {module.part for module in inventory.modules} == {"language"}
    down = inventory.modules[6]
    assert (down.type, down.d_in, down.d_out, down.cost) == ("down_proj", 48, 32, 80)
    assert inventory.total_params == sum(p.numel() for p in model.parameters())


def test_the_meta_device_will_do() -> None:
    with torch.device("meta"):
        model = LlamaForCausalLM(LlamaConfig(hidden_size=2048, num_hidden_layers=1))
    inventory = find_modules(model, "q_proj", EVERY_PART)
    assert [module.d_in for module in inventory.modules] == [2048]


@pytest.mark.parametrize(
    ("path", "part", "layer"),
    [
        ("language_model.model.layers.3.mlp.down_proj", "language", 3),
        ("vision_tower.vision_model.encoder.layers.7.self_attn.q_proj", "vision", 7),
        ("model.vision_tower.encoder.layer.2.attention.query", "vision", 2),
        ("visual.blocks.11.attn.qkv", "vision", 11),
        ("model.visual.merger.mlp.0", "projector", 0),
        ("model.visual.deepstack_merger_list.2.linear_fc1", "projector", 0),
        ("model.connector.modality_projection.proj", "projector", 0),
        ("multi_modal_projector.linear_1", "projector", 0),
        ("model.mm_projector.mlp.up", "projector", 0),
        ("connector.layers.1.experts.5.up_proj", "projector", 1),
        ("transformer.h.4.mlp.c_fc", "language", 4),
    ],
)
def test_part_and_layer_follow_from_the_path(path: str, part: str, layer: int) -> None:
    (module,) = find_modules(nested(path), ".*", EVERY_PART).modules
    assert (module.name, module.part, module.layer) == (path, part, layer)
    assert (module.d_in, module.d_out) == (3, 2)


def test_a_module_outside_any_stack_has_no_place_in_one() -> None:
    assert place_of("multi_modal_projector.linear_1.weight") == ("projector", None)
    assert place_of("language_model.model.layers.0.mlp.up_proj") == ("language", 0)


def test_only_the_chosen_parts_are_searched() -> None:
    model = nested("vision_tower.layers.0.q_proj", "projector.q_proj", "layers.0.q_proj")
    found = find_modules(model, "q_proj", frozenset({"projector", "language"}))
    assert [module.part for module in found.modules] == ["projector", "language"]


def test_heads_embeddings_and_attention_that_bypasses_its_linear_are_left_out() -> None:
    model = nested("lm_head", "vision_tower.embeddings.patch", "layers.0.up")
    model.add_module("attention", nn.MultiheadAttention(4, 2))
    assert [m.name for m in find_modules(model, ".*", EVERY_PART).modules] == ["layers.0.up"]


def test_the_pattern_must_match_the_whole_last_component() -> None:
    model = nested("layers.0.up", "layers.0.up_proj")
    assert [m.type for m in find_modules(model, "up", EVERY_PART).modules] == ["up"]


def test_a_pattern_without_a_match_is_refused_with_up_to_eight_names() -> None:
    model = nested(*(f"layers.0.module_{index}" for index in range(10)))
    with pytest.raises(ValueError, match=r"targets must match .* got 'qproj'") as error:
        find_modules(model, "qproj", EVERY_PART)
    assert "module_7 and 2 more" in str(error.value)
    assert "module_8" not in str(error.value)


def test_a_part_without_linears_is_refused() -> None:
    with pytest.raises(ValueError, match="available there: none"):
        find_modules(nested("layers.0.up"), "up", frozenset({"vision"}))


def test_what_is_no_regular_expression_is_refused() -> None:
    with pytest.raises(ValueError, match=r"targets must be a regular expression, got '\('"):
        find_modules(nested("layers.0.up"), "(", EVERY_PART)
