"""Names of parameters in the official MobileVLM checkpoints and in CLIP's, as names of ours.

They follow from the official modules (github.com/Meituan-AutoML/MobileVLM, commits 5d53a99 for
MobileVLM and eb0039a for V2): LDP is made of torchvision's ``InvertedResidual``, whose ``block``
holds a depthwise convolution with its norm, squeeze-and-excitation and a pointwise convolution
with its norm; LDPv2 of three modules that each hold a sequence named like themselves.
"""

import re

_OFFICIAL = (
    (r"lm_head\.", "language_model.lm_head."),
    (r"model\.(embed_tokens|layers|norm)\.", r"language_model.model.\1."),
    (r"model\.vision_tower\.vision_tower\.(?:vision_model\.)?", "vision_tower."),
    # MobileVLM
    (r"model\.mm_projector\.model\.mlp\.1\.", "projector.linear_1."),
    (r"model\.mm_projector\.model\.mlp\.3\.", "projector.linear_2."),
    (r"model\.mm_projector\.model\.mb_block\.([12])\.block\.", r"projector.block_\1."),
    # MobileVLM V2
    (r"model\.mm_projector\.mlp\.mlp\.0\.", "projector.linear_1."),
    (r"model\.mm_projector\.mlp\.mlp\.2\.", "projector.linear_2."),
    (r"model\.mm_projector\.peg\.peg\.0\.", "projector.peg."),
)
_IN_BLOCK = (
    (r"(projector\.block_\d\.)0\.0\.", r"\1depthwise."),
    (r"(projector\.block_\d\.)0\.1\.", r"\1depthwise_norm."),
    (r"(projector\.block_\d\.)1\.fc1\.", r"\1gate.squeeze."),
    (r"(projector\.block_\d\.)1\.fc2\.", r"\1gate.excite."),
    (r"(projector\.block_\d\.)2\.0\.", r"\1pointwise."),
    (r"(projector\.block_\d\.)2\.1\.", r"\1pointwise_norm."),
)
_CLIP = (
    (r"(?:vision_model\.)?(embeddings|pre_layrnorm|encoder|post_layernorm)\.", r"vision_tower.\1."),
)

_RECOMPUTED = re.compile(r"\.(?:rotary_emb\.inv_freq|embeddings\.position_ids)$")
"""Tables that older versions of transformers stored; every model makes its own."""
_VISION_LAYER = re.compile(r"vision_tower\.encoder\.layers\.(\d+)\.")


def from_official(key: str, *, num_vision_layers: int) -> str | None:
    """Our name of an official parameter; unknown ones keep theirs, None if it is not needed."""
    return _needed(_renamed(_renamed(key, _OFFICIAL), _IN_BLOCK), num_vision_layers)


def from_clip(key: str, *, num_vision_layers: int) -> str | None:
    """Our name of a parameter of CLIP's vision tower; None for CLIP's other parts."""
    renamed = _renamed(key, _CLIP)
    return None if renamed == key else _needed(renamed, num_vision_layers)


def _renamed(key: str, rules: tuple[tuple[str, str], ...]) -> str:
    for pattern, replacement in rules:
        if re.match(pattern, key):
            return re.sub(pattern, replacement, key, count=1)
    return key


def _needed(name: str, num_vision_layers: int) -> str | None:
    layer = _VISION_LAYER.match(name)
    is_above = layer is not None and int(layer.group(1)) >= num_vision_layers
    return None if is_above or _RECOMPUTED.search(name) else name
