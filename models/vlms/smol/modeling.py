"""EfficientNet-Lite0, a linear projector and SmolLM2 as a model of transformers.

The language model is a Llama of transformers' own (SmolLM2: Allal et al. 2025, arXiv 2502.02737).
The projector starts from a closed form; see ``fitting``.

Shape letters: B rows, L tokens, P pictures of all rows, V visual tokens, D vision width, E language
width, s feature cells a side, C H W channels and pixels.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import (
    Cache,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedConfig,
)
from transformers import initialization as init
from transformers.configuration_utils import SubConfigSpec
from transformers.modeling_outputs import CausalLMOutputWithPast
from typing_extensions import override

from rankscope.models.vlms.labels import NOT_SCORED
from rankscope.models.vlms.llama_based import LlamaBasedVlm
from rankscope.models.vlms.smol.sizes import (
    GRID_SIDE,
    IMAGE_SIZE_PX,
    NUM_VISUAL_TOKENS,
    SMOLLM2_135M,
)
from rankscope.models.vlms.smol.vision import LITE0_STAGES, LITE0_WIDTH, EfficientNetLite, Stage

"""Label of tokens that do not count towards the loss (PyTorch's ``ignore_index``)."""

IMAGE_TOKEN_ID = -200
"""No row of the embedding, so it must never be looked up there."""


class SmolVlmConfig(PreTrainedConfig):  # type: ignore[no-untyped-call]
    """Sizes of the parts; the defaults are those of the published packages."""

    model_type = "rankscope_smol"
    sub_configs_defaults = {  # noqa: RUF012 - transformers' way of declaring parts
        "text_config": SubConfigSpec(config_class=LlamaConfig, init_kwargs=SMOLLM2_135M),
    }

    # A dict, a config or nothing on the way in; always a config afterwards.
    text_config: Any = None
    vision_stages: Any = LITE0_STAGES
    vision_width: int = LITE0_WIDTH
    image_size_px: int = IMAGE_SIZE_PX
    image_token_id: int = IMAGE_TOKEN_ID
    tie_word_embeddings: bool = False


class Projector(nn.Module):
    """One linear map of pooled features to visual tokens, and a learned position for each token."""

    def __init__(self, vision_width: int, language_width: int) -> None:
        super().__init__()
        self.linear = nn.Linear(vision_width, language_width)
        self.position = nn.Parameter(torch.zeros(NUM_VISUAL_TOKENS, language_width))

    @override
    def forward(self, pooled_PVD: Tensor) -> Tensor:
        """Visual tokens (P, V, E)."""
        tokens_PVE: Tensor = self.linear(pooled_PVD) + self.position
        return tokens_PVE


def pooled(features_PDss: Tensor) -> Tensor:
    """Means over the whole picture and over its quarters, row by row: (P, V, D)."""
    whole_PD1 = functional.adaptive_avg_pool2d(features_PDss, 1).flatten(2)
    quarters_PDQ = functional.adaptive_avg_pool2d(features_PDss, GRID_SIDE).flatten(2)
    return torch.cat([whole_PD1, quarters_PDQ], dim=2).transpose(1, 2)


class SmolVlmForConditionalGeneration(LlamaBasedVlm):
    """Answers questions about pictures; every ``<image>`` id gives way to one visual token."""

    config_class = SmolVlmConfig
    config: SmolVlmConfig

    def __init__(self, config: SmolVlmConfig) -> None:
        super().__init__(config)
        stages = tuple(Stage(*stage) for stage in config.vision_stages)
        self.vision_tower = EfficientNetLite(stages, config.vision_width)
        self.projector = Projector(config.vision_width, config.text_config.hidden_size)
        self.language_model = LlamaForCausalLM(config.text_config)
        self.post_init()  # type: ignore[no-untyped-call]

    @override
    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)  # type: ignore[no-untyped-call]
        if isinstance(module, Projector):
            init.zeros_(module.position)

    @torch.no_grad()
    def picture_features(self, pixels_PCHW: Tensor) -> Tensor:
        """What the frozen tower makes of pictures, pooled: (P, V, D); the same at every step."""
        return pooled(self.vision_tower(pixels_PCHW))

    @override
    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        input_features: Tensor | None = None,
        labels: Tensor | None = None,
        position_ids: Tensor | None = None,
        past_key_values: Cache | None = None,
        inputs_embeds: Tensor | None = None,
        use_cache: bool | None = None,
        logits_to_keep: int | Tensor = 0,
        **kwargs: Any,
    ) -> CausalLMOutputWithPast:
        """Loss, if ``labels`` are given, or else logits of shape (B, L, vocabulary).

        With labels the head of 49,152 words is applied only where they count.

        Args:
            input_ids: Token ids (B, L) that hold ``<image>`` once per visual token.
            attention_mask: 1 for tokens, 0 for padding, (B, L).
            input_features: ``picture_features`` of the pictures of all rows in their order,
                (P, V, D); generation gives them once.
            labels: ``input_ids`` where they count towards the loss, -100 elsewhere, (B, L).
            position_ids: Passed on to the language model, like all that follow.
            past_key_values: Key-value cache.
            inputs_embeds: Instead of ``input_ids``.
            use_cache: Whether to return a cache.
            logits_to_keep: Compute logits of the last so many positions only; 0 means all.
            **kwargs: Passed on; ``generate`` insists on this very name.

        Raises:
            ValueError: If the ``<image>`` ids are not as many as the visual tokens.
        """
        if inputs_embeds is None and input_ids is not None:
            inputs_embeds = self._spliced(input_ids, input_features)
        if labels is not None:
            states_BLE = self.language_model.model(
                inputs_embeds=inputs_embeds, attention_mask=attention_mask, use_cache=False
            ).last_hidden_state
            return CausalLMOutputWithPast(loss=self._loss(states_BLE, labels))
        output: CausalLMOutputWithPast = self.language_model(
            inputs_embeds=inputs_embeds,
            attention_mask=attention_mask,
            position_ids=position_ids,
            past_key_values=past_key_values,
            use_cache=use_cache,
            logits_to_keep=logits_to_keep,
            **kwargs,
        )
        return output

    def _loss(self, states_BLE: Tensor, labels_BL: Tensor) -> Tensor:
        """Mean cross-entropy over the scored tokens."""
        next_BL = labels_BL[:, 1:]
        is_scored_BL = next_BL != NOT_SCORED
        logits_SV = self.language_model.lm_head(states_BLE[:, :-1][is_scored_BL])
        return functional.cross_entropy(logits_SV.float(), next_BL[is_scored_BL])

    def _spliced(self, ids_BL: Tensor, features_PVD: Tensor | None) -> Tensor:
        is_image_BL = ids_BL == self.config.image_token_id
        embeds_BLE: Tensor = self.get_input_embeddings()(ids_BL.masked_fill(is_image_BL, 0))
        num_tokens = 0 if features_PVD is None else features_PVD.shape[0] * features_PVD.shape[1]
        if int(is_image_BL.sum()) != num_tokens:
            raise ValueError(
                f"<image> ids must equal the visual tokens, got {int(is_image_BL.sum())} for "
                f"{num_tokens}; build batches with SmolProcessor"
            )
        if features_PVD is None:
            return embeds_BLE
        tokens_PVE = self.projector(features_PVD).to(embeds_BLE.dtype)
        return embeds_BLE.masked_scatter(is_image_BL.unsqueeze(-1), tokens_PVE)
