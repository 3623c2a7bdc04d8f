"""Sizes of SmolLM2-135M and EfficientNet-Lite0, and the linear modules they give; free of torch."""

from collections.abc import Iterator

from rankscope.models.cost.sizes import ModelSizes, PictureSizes
from rankscope.models.inventory import AdaptableModule, Linears, Part

SMOLLM2_135M = {
    "vocab_size": 49152,
    "hidden_size": 576,
    "intermediate_size": 1536,
    "num_hidden_layers": 30,
    "num_attention_heads": 9,
    "num_key_value_heads": 3,
    "max_position_embeddings": 8192,
    "rms_norm_eps": 1e-5,
    "rope_parameters": {"rope_type": "default", "rope_theta": 100_000.0},
    "tie_word_embeddings": True,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 2,
}
VISION_WIDTH = 1280
GRID_SIDE = 2
NUM_VISUAL_TOKENS = 1 + GRID_SIDE**2
"""One for the whole picture and one for each quarter."""

IMAGE_SIZE_PX = 192
"""Six feature cells a side: three for each quarter. A picture takes about 0.03 s on one core."""

_PARAMS: dict[Part, int] = {
    "vision": 3_371_008,
    "projector": 740_736,
    "language": 134_515_008,
}


def smol_linears() -> Linears:
    """Every linear module outside head and embeddings, in model order; the tower has none."""
    sizes = ModelSizes(
        vocabulary=SMOLLM2_135M["vocab_size"],
        num_heads=SMOLLM2_135M["num_attention_heads"],
        context_tokens=SMOLLM2_135M["max_position_embeddings"],
        picture=PictureSizes(
            patches=NUM_VISUAL_TOKENS,
            tokens=NUM_VISUAL_TOKENS,
            cached_bytes=4 * NUM_VISUAL_TOKENS * VISION_WIDTH,
            of="any picture",
        ),
    )
    return Linears(modules=tuple(_modules()), params_by_part=_PARAMS, sizes=sizes)


def _modules() -> Iterator[AdaptableModule]:
    width, inner, layers = 576, 1536, 30
    keys = width // 3  # three key-value heads for nine heads
    yield _linear("projector.linear", "projector", 0, VISION_WIDTH, width)
    shapes = {
        "self_attn.q_proj": (width, width),
        "self_attn.k_proj": (width, keys),
        "self_attn.v_proj": (width, keys),
        "self_attn.o_proj": (width, width),
        "mlp.gate_proj": (width, inner),
        "mlp.up_proj": (width, inner),
        "mlp.down_proj": (inner, width),
    }
    for layer in range(layers):
        for name, (d_in, d_out) in shapes.items():
            path = f"language_model.model.layers.{layer}.{name}"
            yield _linear(path, "language", layer, d_in, d_out)


def _linear(name: str, part: Part, layer: int, d_in: int, d_out: int) -> AdaptableModule:
    kind = name.rsplit(".", 1)[1]
    return AdaptableModule(name=name, part=part, layer=layer, type=kind, d_in=d_in, d_out=d_out)
