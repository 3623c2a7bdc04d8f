"""Checkpoints of real families in the smallest size: random weights, files as on the hub.

Every folder holds what the family publishes: ``config.json``, safetensors, a tokenizer of the
family's kind, its chat template, ``preprocessor_config.json`` and, where
the family has one, ``processor_config.json``. The templates render what the published ones do.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoModelForImageTextToText,
    CLIPVisionConfig,
    GemmaConfig,
    GenerationConfig,
    Idefics3Config,
    InternVLConfig,
    LlamaConfig,
    LlavaConfig,
    LlavaNextConfig,
    LlavaOnevisionConfig,
    MistralConfig,
    PaliGemmaConfig,
    PreTrainedConfig,
    Qwen2_5_VLConfig,
    Qwen2Config,
    Qwen2VLConfig,
    Qwen3VLConfig,
    SiglipVisionConfig,
    SmolVLMConfig,
)

from tests.helpers.chat_templates import (
    INTERNVL_TEMPLATE,
    LLAVA_NEXT_TEMPLATE,
    LLAVA_TEMPLATE,
    QWEN_TEMPLATE,
    SMOLVLM_TEMPLATE,
)
from tests.helpers.tiny_tokenizers import (
    save_byte_level_tokenizer,
    save_gemma_tokenizer,
    save_llama_tokenizer,
)

IMAGE_SIZE_PX = 28
PATCH_SIZE_PX = 14
CLIP_MEAN, CLIP_STD = (
    [0.48145466, 0.4578275, 0.40821073],
    [0.26862954, 0.26130258, 0.27577711],
)
HALF = [0.5, 0.5, 0.5]

TINY_TEXT: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "max_position_embeddings": 4096,
}
TINY_VISION: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "image_size": IMAGE_SIZE_PX,
    "patch_size": PATCH_SIZE_PX,
}

QWEN_ROPE: dict[str, Any] = {
    "rope_scaling": {"type": "mrope", "mrope_section": [2, 3, 3], "rope_theta": 10000.0}
}
QWEN_TOKENIZER: dict[str, Any] = {
    "tokenizer_class": "Qwen2Tokenizer",
    "eos_token": "<|im_end|>",
    "pad_token": "<|endoftext|>",
}


def save_llava(folder: Path) -> None:
    """LLaVA 1.5: CLIP, two linears, Llama; the last CLIP layer is not read."""
    tokens = save_llama_tokenizer(folder, ("<unk>", "<s>", "</s>", "<pad>", "<image>"))
    config = LlavaConfig(
        vision_config=CLIPVisionConfig(**TINY_VISION),
        text_config=LlamaConfig(**TINY_TEXT, **_ids(tokens, "<s>", "</s>", "<pad>")),
        image_token_index=tokens["<image>"],
        image_seq_length=4,
    )
    _save_model(folder, config)
    _write(folder, "chat_template.json", {"chat_template": LLAVA_TEMPLATE})
    _write(folder, "preprocessor_config.json", _clip_pictures("CLIPImageProcessor"))
    _write(
        folder,
        "processor_config.json",
        {
            "processor_class": "LlavaProcessor",
            "patch_size": PATCH_SIZE_PX,
            "vision_feature_select_strategy": "default",
            "num_additional_image_tokens": 1,
            "image_token": "<image>",
        },
    )


def save_llava_next(folder: Path) -> None:
    """LLaVA-NeXT on Mistral: pictures cut into tiles besides the whole."""
    tokens = save_llama_tokenizer(folder, ("<unk>", "<s>", "</s>", "<pad>", "<image>"))
    side = IMAGE_SIZE_PX
    pinpoints = [[side, 2 * side], [2 * side, side], [2 * side, 2 * side]]
    config = LlavaNextConfig(
        vision_config=CLIPVisionConfig(**TINY_VISION),
        text_config=MistralConfig(**TINY_TEXT, **_ids(tokens, "<s>", "</s>", "<pad>")),
        image_token_index=tokens["<image>"],
        image_grid_pinpoints=pinpoints,
    )
    _save_model(folder, config)
    _write(folder, "chat_template.json", {"chat_template": LLAVA_NEXT_TEMPLATE})
    pictures = _clip_pictures("LlavaNextImageProcessor") | {"image_grid_pinpoints": pinpoints}
    _write(folder, "preprocessor_config.json", pictures)
    _write(
        folder,
        "processor_config.json",
        {
            "processor_class": "LlavaNextProcessor",
            "patch_size": PATCH_SIZE_PX,
            "vision_feature_select_strategy": "default",
            "num_additional_image_tokens": 1,
            "image_token": "<image>",
        },
    )


def save_idefics3(folder: Path) -> None:
    """Idefics3, and SmolVLM as first published, which is of the same type."""
    _save_smolvlm(folder, Idefics3Config, "Idefics3")


def save_smolvlm(folder: Path) -> None:
    """SmolVLM2."""
    _save_smolvlm(folder, SmolVLMConfig, "SmolVLM")


def save_qwen2_vl(folder: Path) -> None:
    """Qwen2-VL: pictures of any size, fused attention in the tower."""
    vision = {"depth": 2, "embed_dim": 32, "hidden_size": 32, "num_heads": 2, "mlp_ratio": 2}
    _save_qwen(folder, Qwen2VLConfig, vision, "Qwen2VLProcessor", QWEN_ROPE)


def save_qwen2_5_vl(folder: Path) -> None:
    """Qwen2.5-VL: as its forerunner, with windows in the tower."""
    vision = {
        "depth": 2,
        "hidden_size": 32,
        "intermediate_size": 48,
        "out_hidden_size": 32,
        "num_heads": 2,
        "window_size": 56,
        "fullatt_block_indexes": [1],
    }
    _save_qwen(folder, Qwen2_5_VLConfig, vision, "Qwen2_5_VLProcessor", QWEN_ROPE)


def save_qwen3_vl(folder: Path) -> None:
    """Qwen3-VL: the tower hands on states of several layers, each through a merger."""
    vision = {
        "depth": 2,
        "hidden_size": 32,
        "intermediate_size": 48,
        "out_hidden_size": 32,
        "num_heads": 2,
        "patch_size": PATCH_SIZE_PX,
        "num_position_embeddings": 16,
        "deepstack_visual_indexes": [0],
    }
    rope = {"rope_type": "default", "mrope_section": [2, 3, 3], "mrope_interleaved": True}
    text = {"head_dim": 16, "rope_scaling": rope}
    _save_qwen(folder, Qwen3VLConfig, vision, "Qwen3VLProcessor", text)


def save_paligemma(folder: Path) -> None:
    """PaliGemma: SigLIP, one linear, Gemma; no chat template."""
    tokens = save_gemma_tokenizer(folder)
    config = PaliGemmaConfig(
        vision_config=SiglipVisionConfig(**TINY_VISION, vision_use_head=False),
        text_config=GemmaConfig(
            **TINY_TEXT, head_dim=16, **_ids(tokens, "<bos>", "<eos>", "<pad>", vocab_size=1800)
        ),
        image_token_index=tokens["<image>"],
        projection_dim=32,
        hidden_size=32,
        **_ids(tokens, "<bos>", "<eos>", "<pad>", vocab_size=1800),
    )
    _save_model(folder, config)
    pictures = {
        "image_processor_type": "SiglipImageProcessor",
        "processor_class": "PaliGemmaProcessor",
        "size": {"height": IMAGE_SIZE_PX, "width": IMAGE_SIZE_PX},
        "image_seq_length": 4,
        "image_mean": HALF,
        "image_std": HALF,
        "resample": 3,
    }
    _write(folder, "preprocessor_config.json", pictures)


def save_internvl(folder: Path) -> None:
    """InternVL: pictures cut into tiles, two linears, Qwen2."""
    places = {
        "context_image_token": "<IMG_CONTEXT>",
        "start_image_token": "<img>",
        "end_image_token": "</img>",
        "video_token": "<video>",
    }
    chat = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
    tokens = save_byte_level_tokenizer(
        folder,
        (*chat, *places.values()),
        QWEN_TOKENIZER | {"extra_special_tokens": places},
    )
    config = InternVLConfig(
        vision_config=dict(TINY_VISION),
        text_config=Qwen2Config(**TINY_TEXT, **_ids(tokens, None, "<|im_end|>", "<|endoftext|>")),
        image_token_id=tokens["<IMG_CONTEXT>"],
        image_seq_length=1,
        tie_word_embeddings=False,
    )
    _save_model(folder, config)
    _write(folder, "chat_template.json", {"chat_template": INTERNVL_TEMPLATE})
    pictures = {
        "image_processor_type": "GotOcr2ImageProcessorFast",
        "processor_class": "InternVLProcessor",
        "crop_to_patches": False,
        "min_patches": 1,
        "max_patches": 2,
        "size": {"height": IMAGE_SIZE_PX, "width": IMAGE_SIZE_PX},
        "image_mean": CLIP_MEAN,
        "image_std": CLIP_STD,
        "resample": 3,
    }
    _write(folder, "preprocessor_config.json", pictures)
    processor = {"processor_class": "InternVLProcessor", "image_seq_length": 1}
    _write(folder, "processor_config.json", processor)


def save_llava_onevision(folder: Path) -> None:
    """LLaVA-OneVision: SigLIP and Qwen2, pictures cut into tiles."""
    special = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<image>", "<video>")
    tokens = save_byte_level_tokenizer(folder, special, QWEN_TOKENIZER)
    side = IMAGE_SIZE_PX
    pinpoints = [[side, side], [side, 2 * side], [2 * side, side]]
    config = LlavaOnevisionConfig(
        vision_config=SiglipVisionConfig(**TINY_VISION, vision_use_head=False),
        text_config=Qwen2Config(**TINY_TEXT, **_ids(tokens, None, "<|im_end|>", "<|endoftext|>")),
        image_token_index=tokens["<image>"],
        video_token_index=tokens["<video>"],
        image_grid_pinpoints=pinpoints,
    )
    _save_model(folder, config)
    template = INTERNVL_TEMPLATE.replace("<IMG_CONTEXT>", "<image>")
    _write(folder, "chat_template.json", {"chat_template": template})
    pictures = {
        "image_processor_type": "LlavaOnevisionImageProcessor",
        "size": {"height": side, "width": side},
        "image_grid_pinpoints": pinpoints,
        "image_mean": HALF,
        "image_std": HALF,
    }
    _write(folder, "preprocessor_config.json", pictures)
    processor = {
        "processor_class": "LlavaOnevisionProcessor",
        "num_image_tokens": 4,
        "vision_feature_select_strategy": "full",
    }
    _write(folder, "processor_config.json", processor)


TINY_FAMILIES: dict[str, Callable[[Path], None]] = {
    "llava": save_llava,
    "llava_next": save_llava_next,
    "idefics3": save_idefics3,
    "smolvlm": save_smolvlm,
    "qwen2_vl": save_qwen2_vl,
    "qwen2_5_vl": save_qwen2_5_vl,
    "qwen3_vl": save_qwen3_vl,
    "paligemma": save_paligemma,
    "internvl": save_internvl,
}
"""What writes a checkpoint into an empty folder, by the model type in its ``config.json``."""
UNLISTED_FAMILIES: dict[str, Callable[[Path], None]] = {"llava_onevision": save_llava_onevision}
"""Of families that nothing was done for."""


def _save_smolvlm(folder: Path, config_class: Callable[..., PreTrainedConfig], name: str) -> None:
    places = ("<fake_token_around_image>", "<image>", "<end_of_utterance>", "<global-img>")
    tiles = tuple(f"<row_{row}_col_{col}>" for row in range(1, 7) for col in range(1, 7))
    tokens = save_byte_level_tokenizer(
        folder,
        ("<|endoftext|>", "<|im_start|>", "<|im_end|>", *places, *tiles),
        {
            "tokenizer_class": "GPT2Tokenizer",
            "bos_token": "<|im_start|>",
            "eos_token": "<end_of_utterance>",
            "pad_token": "<|im_end|>",
            "unk_token": "<|endoftext|>",
        },
    )
    config = config_class(
        vision_config=dict(TINY_VISION),
        text_config=LlamaConfig(
            **TINY_TEXT, **_ids(tokens, "<|im_start|>", "<end_of_utterance>", "<|im_end|>")
        ),
        image_token_id=tokens["<image>"],
        scale_factor=2,
    )
    _save_model(folder, config)
    _write(folder, "chat_template.json", {"chat_template": SMOLVLM_TEMPLATE})
    pictures = {
        "image_processor_type": f"{name}ImageProcessor",
        "processor_class": f"{name}Processor",
        "do_image_splitting": True,
        "max_image_size": {"longest_edge": IMAGE_SIZE_PX},
        "size": {"longest_edge": 2 * IMAGE_SIZE_PX},
        "image_mean": HALF,
        "image_std": HALF,
        "resample": 1,
        "do_pad": True,
    }
    _write(folder, "preprocessor_config.json", pictures)
    _write(
        folder, "processor_config.json", {"processor_class": f"{name}Processor", "image_seq_len": 1}
    )


def _save_qwen(
    folder: Path,
    config_class: Callable[..., PreTrainedConfig],
    vision: Mapping[str, Any],
    processor: str,
    text: Mapping[str, Any],
) -> None:
    places = ("<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>")
    tokens = save_byte_level_tokenizer(
        folder,
        ("<|endoftext|>", "<|im_start|>", "<|im_end|>", *places),
        QWEN_TOKENIZER,
    )
    config = config_class(
        vision_config=dict(vision),
        text_config=dict(
            **TINY_TEXT,
            **text,
            **_ids(tokens, None, "<|im_end|>", "<|endoftext|>"),
        ),
        image_token_id=tokens["<|image_pad|>"],
        video_token_id=tokens["<|video_pad|>"],
        vision_start_token_id=tokens["<|vision_start|>"],
        vision_end_token_id=tokens["<|vision_end|>"],
    )
    # As published: Qwen's own decoding is not plain.
    ends = [tokens["<|im_end|>"], tokens["<|endoftext|>"]]
    _save_model(folder, config, eos_token_id=ends, repetition_penalty=1.05)
    _write(folder, "chat_template.json", {"chat_template": QWEN_TEMPLATE})
    pictures = {
        "image_processor_type": "Qwen2VLImageProcessor",
        "processor_class": processor,
        "min_pixels": 28 * 28,
        "max_pixels": 28 * 28 * 6,
        "patch_size": PATCH_SIZE_PX,
        "temporal_patch_size": 2,
        "merge_size": 2,
        "image_mean": CLIP_MEAN,
        "image_std": CLIP_STD,
    }
    _write(folder, "preprocessor_config.json", pictures)


def _clip_pictures(kind: str) -> dict[str, Any]:
    return {
        "image_processor_type": kind,
        "size": {"shortest_edge": IMAGE_SIZE_PX},
        "crop_size": {"height": IMAGE_SIZE_PX, "width": IMAGE_SIZE_PX},
        "do_center_crop": True,
        "image_mean": CLIP_MEAN,
        "image_std": CLIP_STD,
        "resample": 3,
    }


def _ids(
    tokens: Mapping[str, int],
    begin: str | None,
    end: str,
    pad: str,
    *,
    vocab_size: int | None = None,
) -> dict[str, Any]:
    return {
        "vocab_size": vocab_size or max(tokens.values()) + 1,
        "bos_token_id": None if begin is None else tokens[begin],
        "eos_token_id": tokens[end],
        "pad_token_id": tokens[pad],
    }


def _save_model(folder: Path, config: PreTrainedConfig, **generation: Any) -> None:
    torch.manual_seed(0)
    model = AutoModelForImageTextToText.from_config(config)  # type: ignore[no-untyped-call]
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:  # large enough for the answers to depend on what is asked
                parameter.normal_(std=0.2)
    text = config.get_text_config()
    ends = {"eos_token_id": text.eos_token_id, "pad_token_id": text.pad_token_id}
    model.generation_config = GenerationConfig(  # type: ignore[no-untyped-call]
        **(ends | generation)
    )
    model.save_pretrained(folder)


def _write(folder: Path, name: str, content: Mapping[str, Any]) -> None:
    (folder / name).write_text(json.dumps(content, indent=2), encoding="utf-8")
