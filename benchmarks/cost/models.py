"""Models with random weights to measure: the embedded one, tiny ones, one of middle size."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import (
    CLIPVisionConfig,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    PreTrainedModel,
)

from rankscope.models.cost.sizes import ModelSizes, PictureSizes
from rankscope.models.vlms.embedded.processing import load_embedded
from rankscope.models.vlms.linears import embedded_linears
from rankscope.models.vlms.mobilevlm.configuration import MobileVlmConfig
from rankscope.models.vlms.mobilevlm.modeling import MobileVlmForConditionalGeneration


@dataclass(frozen=True)
class Made:
    """A model without adapters and what a plan knows of it.

    Args:
        model: On the CPU, frozen.
        sizes: As its configuration tells.
        image_id: Token that stands for one visual token.
        side_px: Of its pictures.
    """

    model: PreTrainedModel
    sizes: ModelSizes
    image_id: int
    side_px: int

    def batch(self, rows: int, tokens: int) -> dict[str, Tensor]:
        """Random rows with a picture each, no padding; every word is scored."""
        assert self.sizes.picture is not None
        generator = torch.Generator().manual_seed(0)
        visual = self.sizes.picture.tokens
        words = torch.randint(
            10, self.sizes.vocabulary, (rows, tokens - visual), generator=generator
        )
        ids = torch.cat([torch.full((rows, visual), self.image_id), words], dim=1)
        labels = ids.clone()
        labels[:, :visual] = -100
        side = self.side_px
        return {
            "input_ids": ids,
            "attention_mask": torch.ones_like(ids),
            "labels": labels,
            "pixel_values": torch.randn(rows, 3, side, side, generator=generator),
        }


def embedded() -> Made:
    """The model that comes with Rankscope."""
    model, processor = load_embedded()
    sizes = embedded_linears().sizes
    assert sizes is not None
    return _made(model, sizes, model.config.image_token_id, processor.image_size_px)


def tiny_llava() -> Made:
    """LLaVA's shape with two layers of width 64; image_id is a word of its own."""
    text = LlamaConfig(**_text(64, 176, 2, 512))
    config = LlavaConfig(
        vision_config=CLIPVisionConfig(**_vision(32, 2, 56)),
        text_config=text,
        image_token_index=3,
        image_seq_length=16,
    )
    torch.manual_seed(0)
    model = LlavaForConditionalGeneration(config)
    picture = PictureSizes(patches=17, tokens=16, of="a picture of 56 x 56 px")
    return _made(model, _sizes(text, picture, tower=True), 3, 56)


def tiny_mobilevlm() -> Made:
    """MobileVLM V2's shape with four layers of width 64."""
    return _mobilevlm(_vision(32, 2, 56), _text(64, 176, 4, 512), visual_per_side=2)


def middle_mobilevlm() -> Made:
    """MobileVLM V2's shape with eight layers of width 512 and 8,000 words: 37 M parameters."""
    return _mobilevlm(_vision(256, 6, 112), _text(512, 1408, 8, 8000), visual_per_side=4)


MODELS: dict[str, Callable[[], Made]] = {
    "embedded": embedded,
    "tiny LLaVA": tiny_llava,
    "tiny MobileVLM": tiny_mobilevlm,
    "middle MobileVLM": middle_mobilevlm,
}


def _mobilevlm(vision: dict[str, Any], text: dict[str, Any], *, visual_per_side: int) -> Made:
    language = LlamaConfig(**text)
    config = MobileVlmConfig(
        vision_config=CLIPVisionConfig(**vision),
        text_config=language,
        projector="ldpnetv2",
        visual_tokens_per_side=visual_per_side,
    )
    torch.manual_seed(0)
    side_px = vision["image_size"]
    picture = PictureSizes(
        patches=config.patches_per_side**2 + 1,
        tokens=config.num_visual_tokens,
        of=f"a picture of {side_px} x {side_px} px",
    )
    model = MobileVlmForConditionalGeneration(config)
    sizes = _sizes(language, picture, tower=False)
    return _made(model, sizes, config.image_token_id, side_px)


def _vision(width: int, layers: int, side_px: int) -> dict[str, Any]:
    return {
        "hidden_size": width,
        "intermediate_size": 4 * width,
        "num_hidden_layers": layers,
        "num_attention_heads": max(2, width // 64),
        "image_size": side_px,
        "patch_size": 14,
    }


def _text(width: int, inner: int, layers: int, words: int) -> dict[str, Any]:
    return {
        "hidden_size": width,
        "intermediate_size": inner,
        "num_hidden_layers": layers,
        "num_attention_heads": max(2, width // 64),
        "vocab_size": words,
        "pad_token_id": 0,
        "max_position_embeddings": 2048,
    }


def _sizes(text: LlamaConfig, picture: PictureSizes, *, tower: bool) -> ModelSizes:
    return ModelSizes(
        vocabulary=text.vocab_size,
        num_heads=text.num_attention_heads,
        context_tokens=2048,
        picture=picture,
        checkpoints_tower=tower,
    )


def _made(model: PreTrainedModel, sizes: ModelSizes, image_id: int, side_px: int) -> Made:
    model.requires_grad_(requires_grad=False)
    return Made(model, sizes, image_id, side_px)
