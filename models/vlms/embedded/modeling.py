"""The embedded vision-language model: MobileVLM V2's shape at a thousandth of its size.

A SigLIP vision tower, an LDPv2-style projector to nine visual tokens and a Llama language model;
tower and language model are transformers' own. Source: MobileVLM V2 (Chu et al. 2024, arXiv
2402.03766, section 3). We add a learned position after the projector, so that a token says which
cell it stands for.

Shape letters: B batch, L tokens, S patches (s a side), V visual tokens, D vision width, E language
width, C H W channels and pixels.
"""

from typing import Any

import torch
from torch import Tensor, nn
from transformers import (
    Cache,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedConfig,
    SiglipVisionConfig,
    SiglipVisionModel,
)
from transformers import initialization as init
from transformers.configuration_utils import SubConfigSpec
from transformers.modeling_outputs import CausalLMOutputWithPast
from typing_extensions import override

from rankscope.models.vlms.llama_based import LlamaBasedVlm


class EmbeddedVlmConfig(PreTrainedConfig):  # type: ignore[no-untyped-call]
    """Sizes of the parts; the defaults are those of the shipped weights."""

    model_type = "rankscope_embedded"
    sub_configs_defaults = {  # noqa: RUF012 - transformers' way of declaring parts
        "vision_config": SubConfigSpec(
            config_class=SiglipVisionConfig,
            init_kwargs={
                "image_size": 48,
                "patch_size": 8,
                "hidden_size": 64,
                "intermediate_size": 128,
                "num_hidden_layers": 2,
                "num_attention_heads": 4,
                "vision_use_head": False,
            },
        ),
        "text_config": SubConfigSpec(
            config_class=LlamaConfig,
            init_kwargs={
                "vocab_size": 128,
                "hidden_size": 128,
                "intermediate_size": 256,
                "num_hidden_layers": 6,
                "num_attention_heads": 4,
                "max_position_embeddings": 128,
                # About 1 / sqrt(width); a first base with the usual 0.02 did not learn its skills.
                "initializer_range": 0.08,
                "pad_token_id": 0,
                "bos_token_id": None,
                "eos_token_id": 1,
            },
        ),
    }

    # A dict, a config or nothing on the way in; always a config afterwards.
    vision_config: Any = None
    text_config: Any = None
    image_token_id: int = 2
    visual_tokens_per_side: int = 3
    tie_word_embeddings: bool = False


class LdpV2Projector(nn.Module):
    """Vision features to a small square of visual tokens in the language model's width."""

    def __init__(self, vision_width: int, language_width: int, tokens_per_side: int) -> None:
        super().__init__()
        self.linear_1 = nn.Linear(vision_width, language_width)
        self.act = nn.GELU()
        self.linear_2 = nn.Linear(language_width, language_width)
        self.pool = nn.AdaptiveAvgPool2d(tokens_per_side)
        self.peg = nn.Conv2d(
            language_width, language_width, kernel_size=3, padding=1, groups=language_width
        )
        self.position = nn.Parameter(torch.empty(tokens_per_side**2, language_width))

    @override
    def forward(self, features_BSD: Tensor) -> Tensor:
        """Visual tokens, shape (B, V, E), row by row."""
        x_BSE: Tensor = self.linear_2(self.act(self.linear_1(features_BSD)))
        side = int(x_BSE.shape[1] ** 0.5)
        x_BEss = self.pool(x_BSE.transpose(1, 2).reshape(len(x_BSE), -1, side, side))
        x_BEss = x_BEss + self.peg(x_BEss)
        tokens_BVE: Tensor = x_BEss.flatten(2).transpose(1, 2) + self.position
        return tokens_BVE


class EmbeddedVlmForConditionalGeneration(LlamaBasedVlm):
    """Answers questions about pictures; every ``<image>`` token gives way to one visual token."""

    config_class = EmbeddedVlmConfig
    config: EmbeddedVlmConfig

    def __init__(self, config: EmbeddedVlmConfig) -> None:
        super().__init__(config)
        self.vision_tower = SiglipVisionModel(config.vision_config)
        self.projector = LdpV2Projector(
            config.vision_config.hidden_size,
            config.text_config.hidden_size,
            config.visual_tokens_per_side,
        )
        self.language_model = LlamaForCausalLM(config.text_config)
        self.post_init()  # type: ignore[no-untyped-call]

    @override
    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)  # type: ignore[no-untyped-call]
        if isinstance(module, LdpV2Projector):
            init.normal_(module.position, std=self.config.text_config.initializer_range)

    def visual_tokens(self, pixel_values: Tensor) -> Tensor:
        """What the language model gets to see of pictures (B, C, H, W): shape (B, V, E)."""
        features_BSD = self.vision_tower(pixel_values=pixel_values).last_hidden_state
        tokens_BVE: Tensor = self.projector(features_BSD)
        return tokens_BVE

    @override
    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        pixel_values: Tensor | None = None,
        labels: Tensor | None = None,
        position_ids: Tensor | None = None,
        past_key_values: Cache | None = None,
        inputs_embeds: Tensor | None = None,
        use_cache: bool | None = None,
        logits_to_keep: int | Tensor = 0,
        **kwargs: Any,
    ) -> CausalLMOutputWithPast:
        """Loss (if ``labels`` are given) and logits of shape (B, L, vocabulary).

        Args:
            input_ids: Token ids (B, L); with ``pixel_values`` a row holds V ``<image>``.
            attention_mask: 1 for tokens, 0 for padding, (B, L).
            pixel_values: Pictures (B, C, H, W) in -1 to 1; generation gives them once.
            labels: ``input_ids`` where they count towards the loss, -100 elsewhere, (B, L).
            position_ids: Passed on to the language model, like all that follow.
            past_key_values: Key-value cache.
            inputs_embeds: Instead of ``input_ids``.
            use_cache: Whether to return a cache.
            logits_to_keep: Compute logits of the last so many positions only; 0 means all.
            **kwargs: Passed on; ``generate`` insists on this very name.

        Raises:
            ValueError: If the ``<image>`` tokens are not as many as the visual tokens.
        """
        if inputs_embeds is None:
            inputs_embeds = self.get_input_embeddings()(input_ids)
        if pixel_values is not None and input_ids is not None:
            inputs_embeds = self._splice(inputs_embeds, input_ids, pixel_values)
        output: CausalLMOutputWithPast = self.language_model(
            inputs_embeds=inputs_embeds,
            attention_mask=attention_mask,
            position_ids=position_ids,
            past_key_values=past_key_values,
            labels=labels,
            use_cache=use_cache,
            logits_to_keep=logits_to_keep,
            **kwargs,
        )
        return output

    def _splice(self, embeds_BLE: Tensor, ids_BL: Tensor, pixel_values: Tensor) -> Tensor:
        tokens_BVE = self.visual_tokens(pixel_values).to(embeds_BLE.dtype)
        is_image_BL = ids_BL == self.config.image_token_id
        num_places, num_tokens = int(is_image_BL.sum()), tokens_BVE.shape[0] * tokens_BVE.shape[1]
        if num_places != num_tokens:
            raise ValueError(
                f"<image> tokens must equal visual tokens, got {num_places} for {num_tokens}; "
                "build batches with EmbeddedProcessor"
            )
        return embeds_BLE.masked_scatter(is_image_BL.unsqueeze(-1), tokens_BVE)
