"""MobileVLM's configuration as transformers keeps it, with those of the published models."""

from typing import Any

from transformers import CLIPVisionConfig, LlamaConfig, PreTrainedConfig
from transformers.configuration_utils import SubConfigSpec

from rankscope.models.vlms.mobilevlm.sizes import CLIP_L_14_336, MOBILELLAMA_1_4B, SIZES
from rankscope.models.vlms.settings import MobileVlmSize

IMAGE_TOKEN_ID = -200
"""Official id of ``<image>``: no row of the embedding, so it must never be looked up there."""


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


def named_config(size: MobileVlmSize) -> MobileVlmConfig:
    """The configuration of a published model."""
    projector, text = SIZES[size]
    return MobileVlmConfig(text_config=dict(text), projector=projector)
