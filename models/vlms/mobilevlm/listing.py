"""The linear modules of the published models, from their sizes alone; free of torch."""

from collections.abc import Iterator
from typing import Any

from rankscope.models.cost.sizes import ModelSizes, PictureSizes
from rankscope.models.inventory import AdaptableModule, Linears, Part
from rankscope.models.vlms.mobilevlm.sizes import CLIP_L_14_336, SIZES, VISION_FEATURE_LAYER
from rankscope.models.vlms.settings import MobileVlmSize

_VISION_PARAMS = 290_911_232
"""Without the last layer, whose output nobody reads."""
_PROJECTOR_PARAMS: dict[MobileVlmSize, int] = {
    "v1_1.7b": 18_936_832,
    "v1_3b": 28_913_920,
    "v2_1.7b": 6_316_032,
    "v2_3b": 9_205_760,
}
_LANGUAGE_PARAMS: dict[MobileVlmSize, int] = {
    "v1_1.7b": 1_364_297_728,
    "v1_3b": 2_701_560_320,
    "v2_1.7b": 1_364_297_728,
    "v2_3b": 2_701_560_320,
}


def mobilevlm_linears(size: MobileVlmSize) -> Linears:
    """Every linear module of a published model outside head and embeddings, in model order."""
    _, language = SIZES[size]
    modules = (*_vision(), *_projector(language["hidden_size"]), *_language(language))
    params_by_part: dict[Part, int] = {
        "vision": _VISION_PARAMS,
        "projector": _PROJECTOR_PARAMS[size],
        "language": _LANGUAGE_PARAMS[size],
    }
    return Linears(modules=modules, params_by_part=params_by_part, sizes=_sizes(language))


def _sizes(language: dict[str, Any]) -> ModelSizes:
    side_px = CLIP_L_14_336["image_size"]
    per_side = side_px // CLIP_L_14_336["patch_size"]
    return ModelSizes(
        vocabulary=language["vocab_size"],
        num_heads=language["num_attention_heads"],
        context_tokens=language["max_position_embeddings"],
        picture=PictureSizes(
            patches=per_side**2 + 1,
            tokens=(per_side // 2) ** 2,
            of=f"a picture, padded to {side_px} x {side_px} px",
        ),
    )


def _vision() -> Iterator[AdaptableModule]:
    width, inner = CLIP_L_14_336["hidden_size"], CLIP_L_14_336["intermediate_size"]
    for layer in range(CLIP_L_14_336["num_hidden_layers"] + 1 + VISION_FEATURE_LAYER):
        path = f"vision_tower.encoder.layers.{layer}"
        for name in ("k_proj", "v_proj", "q_proj", "out_proj"):
            yield _linear(f"{path}.self_attn.{name}", "vision", layer, width, width)
        yield _linear(f"{path}.mlp.fc1", "vision", layer, width, inner)
        yield _linear(f"{path}.mlp.fc2", "vision", layer, inner, width)


def _projector(width: int) -> Iterator[AdaptableModule]:
    yield _linear("projector.linear_1", "projector", 0, CLIP_L_14_336["hidden_size"], width)
    yield _linear("projector.linear_2", "projector", 0, width, width)


def _language(sizes: dict[str, Any]) -> Iterator[AdaptableModule]:
    width, inner = sizes["hidden_size"], sizes["intermediate_size"]
    for layer in range(sizes["num_hidden_layers"]):
        path = f"language_model.model.layers.{layer}"
        for name in ("q_proj", "k_proj", "v_proj", "o_proj"):
            yield _linear(f"{path}.self_attn.{name}", "language", layer, width, width)
        yield _linear(f"{path}.mlp.gate_proj", "language", layer, width, inner)
        yield _linear(f"{path}.mlp.up_proj", "language", layer, width, inner)
        yield _linear(f"{path}.mlp.down_proj", "language", layer, inner, width)


def _linear(name: str, part: Part, layer: int, d_in: int, d_out: int) -> AdaptableModule:
    kind = name.rsplit(".", 1)[1]
    return AdaptableModule(name=name, part=part, layer=layer, type=kind, d_in=d_in, d_out=d_out)
