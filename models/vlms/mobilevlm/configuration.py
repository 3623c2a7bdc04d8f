"""Sizes of MobileVLM and MobileVLM V2, and the four models that were published.

Sources: MobileVLM (Chu et al. 2023, arXiv 2312.16886, tables 2 and 3), MobileVLM V2 (Chu et al.
2024, arXiv 2402.03766, section 3); CLIP ViT-L/14 at 336 px (Radford et al. 2021, arXiv 2103.00020).
"""

from typing import Any, Literal

from transformers import CLIPVisionConfig, LlamaConfig, PreTrainedConfig
from transformers.configuration_utils import SubConfigSpec

ProjectorKind = Literal["ldpnet", "ldpnetv2"]
"""The official names: LDP of MobileVLM, LDPv2 of MobileVLM V2."""
SizeName = Literal["mobilevlm_v1_1_7b", "mobilevlm_v1_3b", "mobilevlm_v2_1_7b", "mobilevlm_v2_3b"]

IMAGE_TOKEN_ID = -200
"""Official id of ``<image>``: no row of the embedding, so it must never be looked up there."""

CLIP_L_14_336: dict[str, Any] = {
    "image_size": 336,
    "patch_size": 14,
    "hidden_size": 1024,
    "intermediate_size": 4096,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "projection_dim": 768,
}
_MOBILELLAMA: dict[str, Any] = {
    "vocab_size": 32_000,
    "max_position_embeddings": 2048,
    "rms_norm_eps": 1e-6,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
MOBILELLAMA_1_4B: dict[str, Any] = _MOBILELLAMA | {
    "hidden_size": 2048,
    "intermediate_size": 5632,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
}
MOBILELLAMA_2_7B: dict[str, Any] = _MOBILELLAMA | {
    "hidden_size": 2560,
    "intermediate_size": 6912,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
}

SIZES: dict[SizeName, tuple[ProjectorKind, dict[str, Any]]] = {
    "mobilevlm_v1_1_7b": ("ldpnet", MOBILELLAMA_1_4B),
    "mobilevlm_v1_3b": ("ldpnet", MOBILELLAMA_2_7B),
    "mobilevlm_v2_1_7b": ("ldpnetv2", MOBILELLAMA_1_4B),
    "mobilevlm_v2_3b": ("ldpnetv2", MOBILELLAMA_2_7B),
}
"""Projector and language model by the published model's name."""


class MobileVlmConfig(PreTrainedConfig):  # type: ignore[no-untyped-call]
    """Sizes of the parts; the defaults are those of MobileVLM V2 1.7B.

    ``vision_feature_layer`` counts CLIP's hidden states, the embeddings being number 0: -2 is what
    enters the last layer. ``visual_tokens_per_side`` is free with ``ldpnetv2``, which pools;
    ``ldpnet`` halves the patches per side and must find that number here.
    """

    model_type = "rankscope_mobilevlm"
    sub_configs_defaults = {  # noqa: RUF012 - transformers' way of declaring parts
        "vision_config": SubConfigSpec(config_class=CLIPVisionConfig, init_kwargs=CLIP_L_14_336),
        "text_config": SubConfigSpec(config_class=LlamaConfig, init_kwargs=MOBILELLAMA_1_4B),
    }

    # A dict, a config or nothing on the way in; always a config afterwards.
    vision_config: Any = None
    text_config: Any = None
    projector: str = "ldpnetv2"
    image_token_id: int = IMAGE_TOKEN_ID
    vision_feature_layer: int = -2
    visual_tokens_per_side: int = 12
    tie_word_embeddings: bool = False

    @property
    def num_visual_tokens(self) -> int:
        """Tokens that stand for one picture."""
        return self.visual_tokens_per_side**2

    @property
    def patches_per_side(self) -> int:
        """Vision features per side of a picture."""
        return int(self.vision_config.image_size // self.vision_config.patch_size)

    @property
    def num_vision_layers(self) -> int:
        """CLIP layers that the chosen hidden state needs; those above it change no answer."""
        num_layers, chosen = self.vision_config.num_hidden_layers, self.vision_feature_layer
        needed = chosen if chosen >= 0 else num_layers + 1 + chosen
        if not 1 <= needed <= num_layers:
            raise ValueError(
                f"vision_feature_layer must name one of the {num_layers} layers' outputs, got "
                f"{chosen}; MobileVLM uses -2"
            )
        return int(needed)


def named_config(size: SizeName) -> MobileVlmConfig:
    """The configuration of a published model."""
    projector, text = SIZES[size]
    return MobileVlmConfig(text_config=dict(text), projector=projector)
