"""A model of the same classes with a few thousand parameters, and a tokenizer of SmolLM2's kind."""

from collections.abc import Sequence
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor
from transformers import LlamaConfig, PreTrainedTokenizerFast

from rankscope.models.data.dialogue import Example, Picture, Pixels, Turn
from rankscope.models.vlms.smol.features import FeatureCache
from rankscope.models.vlms.smol.modeling import SmolVlmConfig, SmolVlmForConditionalGeneration
from rankscope.models.vlms.smol.processing import SmolProcessor
from tests.helpers.tiny_tokenizers import save_byte_level_tokenizer

SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
IMAGE_SIZE_PX = 32
VISION_WIDTH = 16


def tiny_config() -> SmolVlmConfig:
    return SmolVlmConfig(
        text_config=LlamaConfig(
            vocab_size=512,
            hidden_size=24,
            intermediate_size=48,
            num_hidden_layers=2,
            num_attention_heads=3,
            num_key_value_heads=1,
            max_position_embeddings=256,
            tie_word_embeddings=True,
        ),
        vision_stages=[[1, 3, 2, 1, 8], [2, 5, 2, 2, 8]],
        vision_width=VISION_WIDTH,
        image_size_px=IMAGE_SIZE_PX,
    )


def tiny_model() -> SmolVlmForConditionalGeneration:
    torch.manual_seed(0)
    model = SmolVlmForConditionalGeneration(tiny_config())
    model.requires_grad_(False)
    model.train(mode=False)
    return model


def tiny_tokenizer(folder: Path) -> PreTrainedTokenizerFast:
    settings = {"eos_token": "<|im_end|>", "pad_token": "<|im_end|>"}
    save_byte_level_tokenizer(folder, SPECIAL, settings)
    tokenizer: PreTrainedTokenizerFast = PreTrainedTokenizerFast.from_pretrained(
        folder, local_files_only=True
    )
    return tokenizer


def tiny_processor(model: SmolVlmForConditionalGeneration, folder: Path) -> SmolProcessor:
    cache = FeatureCache(model.picture_features, IMAGE_SIZE_PX, folder / "features")
    return SmolProcessor(
        tiny_tokenizer(folder / "tokenizer"), model.config, cache, max_answer_tokens=4
    )


def picture(shade: int, size_px: int = IMAGE_SIZE_PX) -> Picture:
    drawn = torch.full((size_px, size_px, 3), shade, dtype=torch.uint8).numpy()
    return Picture(f"shade {shade}", Pixels(drawn))


def example(question: str, answer: str, *shades: int) -> Example:
    shown = "<image>" * len(shades)
    turns = (Turn("user", f"{shown}{question}"), Turn("assistant", answer))
    return Example("0", 1, tuple(map(picture, shades)), turns)


def examples() -> list[Example]:
    return [example("What color is it?", "red", 10), example("yes no?", "no", 200)]


def pixels_of(shades: Sequence[int]) -> list[Image.Image]:
    return [picture(shade).open() for shade in shades]


def largest(values: Tensor | None) -> float:
    return 0.0 if values is None else float(values.abs().max())
