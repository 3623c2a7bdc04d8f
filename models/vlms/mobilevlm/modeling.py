"""MobileVLM and MobileVLM V2 as a model of transformers.

CLIP's vision tower, a lightweight projector and MobileLLaMA, which is a Llama; tower and language
model are transformers' own. Sources: Chu et al. 2023, arXiv 2312.16886; Chu et al. 2024, arXiv
2402.03766.

Shape letters: B rows, L tokens, P pictures of all rows, S patches, V visual tokens, D vision width,
E language width, C H W channels and pixels.
"""

import copy
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from transformers import (
    Cache,
    CLIPVisionModel,
    LlamaForCausalLM,
)
from transformers.modeling_outputs import CausalLMOutputWithPast
from typing_extensions import override

from rankscope.models.vlms.labels import NOT_SCORED
from rankscope.models.vlms.llama_based import LlamaBasedVlm
from rankscope.models.vlms.mobilevlm.configuration import MobileVlmConfig
from rankscope.models.vlms.mobilevlm.projectors import build_projector, start_as_published
from rankscope.models.vlms.mobilevlm.splicing import expand_image_tokens


class _Spliced(NamedTuple):
    embeds_BLE: Tensor
    attention_mask_BL: Tensor | None
    labels_BL: Tensor | None


class MobileVlmForConditionalGeneration(LlamaBasedVlm):
    """Answers questions about pictures; every ``<image>`` id gives way to visual tokens.

    All parameters are trainable at first; the published models keep ``vision_tower`` frozen. The
    tower ends with the layer whose output is used: CLIP's last one would change no answer, and an
    adapter on it would be trained by nothing.
    """

    config_class = MobileVlmConfig
    config: MobileVlmConfig
    supports_gradient_checkpointing = True
    _supports_flash_attn = True

    def __init__(self, config: MobileVlmConfig) -> None:
        super().__init__(config)
        vision_config = copy.deepcopy(config.vision_config)
        vision_config.num_hidden_layers = config.num_vision_layers
        self.vision_tower = CLIPVisionModel(vision_config)
        self.projector = build_projector(config)
        self.language_model = LlamaForCausalLM(config.text_config)
        self.post_init()  # type: ignore[no-untyped-call]

    @override
    def _init_weights(self, module: nn.Module) -> None:
        # Tower and language model begin by their own rules: what comes here is the projector's.
        if isinstance(module, nn.Linear | nn.Conv2d):
            start_as_published(module)
        else:
            super()._init_weights(module)  # type: ignore[no-untyped-call]

    def visual_tokens(self, pixel_values: Tensor) -> Tensor:
        """What the language model gets to see of pictures (P, C, H, W): shape (P, V, E)."""
        # Gradient checkpointing makes transformers ask for gradients of every embedding's output,
        # the tower's too: a frozen tower would be run backwards for nothing.
        is_trained = any(parameter.requires_grad for parameter in self.vision_tower.parameters())
        with torch.set_grad_enabled(torch.is_grad_enabled() and is_trained):
            states_PSD = self.vision_tower(pixel_values=pixel_values).last_hidden_state
        without_class_PSD = states_PSD[:, 1:]
        tokens_PVE: Tensor = self.projector(without_class_PSD)
        return tokens_PVE

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
            input_ids: Token ids (B, L) that hold ``<image>`` once per visual token, or once per
                picture as official batches do: then L grows by V - 1 for each, in the logits too.
            attention_mask: 1 for tokens, 0 for padding, (B, L).
            pixel_values: The pictures of all rows in their order, (P, C, H, W), as CLIP takes them;
                generation gives them once.
            labels: ``input_ids`` where they count towards the loss, -100 elsewhere, (B, L);
                ``<image>`` never counts.
            position_ids: Passed on to the language model, like all that follow.
            past_key_values: Key-value cache.
            inputs_embeds: Instead of ``input_ids``.
            use_cache: Whether to return a cache.
            logits_to_keep: Compute logits of the last so many positions only; 0 means all.
            **kwargs: Passed on; ``generate`` insists on this very name.

        Raises:
            ValueError: If the ``<image>`` ids do not fit the pictures.
        """
        if inputs_embeds is None and input_ids is not None:
            inputs_embeds, attention_mask, labels = self._spliced(
                input_ids,
                attention_mask,
                labels,
                pixel_values,
                has_cache=past_key_values is not None,
            )
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

    def _spliced(
        self,
        ids_BL: Tensor,
        mask_BL: Tensor | None,
        labels_BL: Tensor | None,
        pixel_values: Tensor | None,
        *,
        has_cache: bool,
    ) -> _Spliced:
        is_image_BL = ids_BL == self.config.image_token_id
        if pixel_values is None:
            # A generated token is no picture; to ask would wait for the device at every step.
            if ids_BL.shape[1] > 1 and bool(is_image_BL.any()):
                raise ValueError(
                    "<image> ids need pictures, got no pixel_values; give them or leave <image> out"
                )
            return _Spliced(self.get_input_embeddings()(ids_BL), mask_BL, labels_BL)
        tokens_PVE = self.visual_tokens(pixel_values)
        num_pictures, num_tokens = tokens_PVE.shape[0], tokens_PVE.shape[0] * tokens_PVE.shape[1]
        num_places = int(is_image_BL.sum())
        if num_places == num_pictures != num_tokens and not has_cache:
            ids_BL, mask_BL, labels_BL = expand_image_tokens(
                ids_BL,
                image_token_id=self.config.image_token_id,
                num_visual_tokens=tokens_PVE.shape[1],
                attention_mask_BL=mask_BL,
                labels_BL=labels_BL,
            )
            is_image_BL = ids_BL == self.config.image_token_id
        elif num_places != num_tokens:
            raise ValueError(
                f"<image> ids must equal the {num_tokens} visual tokens of {num_pictures} pictures "
                f"(or, without a cache, the pictures), got {num_places}; build batches with "
                "MobileVlmProcessor or expand_image_tokens"
            )
        if labels_BL is not None:
            labels_BL = labels_BL.masked_fill(is_image_BL, NOT_SCORED)
        embeds_BLE = self.get_input_embeddings()(ids_BL.masked_fill(is_image_BL, 0))
        tokens_PVE = tokens_PVE.to(embeds_BLE.dtype)
        spliced_BLE = embeds_BLE.masked_scatter(is_image_BL.unsqueeze(-1), tokens_PVE)
        return _Spliced(spliced_BLE, mask_BL, labels_BL)
