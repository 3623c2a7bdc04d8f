"""Checkpoints of real families in the smallest size: random weights, files as on the hub.

Every folder holds what the family publishes: ``config.json``, safetensors, a tokenizer of the
family's kind trained on a few sentences, its chat template, ``preprocessor_config.json`` and, where
the family has one, ``processor_config.json``. The templates render what the published ones do.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers
from tokenizers.processors import TemplateProcessing
from tokenizers.trainers import BpeTrainer
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
    MistralConfig,
    PaliGemmaConfig,
    PreTrainedConfig,
    Qwen2_5_VLConfig,
    Qwen2Config,
    Qwen2VLConfig,
    SiglipVisionConfig,
    SmolVLMConfig,
)

SENTENCES = (
    "USER: What color is the bus? ASSISTANT: The bus is red and white.",
    "User: How many dogs are in the picture? Assistant: There are two dogs.",
    "system You are a helpful assistant. user Where is the cat? assistant On the left.",
    "tool {temperature: 21} yes no answer en caption What is it? A small house.",
)
"""What the tokenizers are trained on."""
NUM_WORD_PIECES = 120
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

QWEN_TOKENIZER: dict[str, Any] = {
    "tokenizer_class": "Qwen2Tokenizer",
    "eos_token": "<|im_end|>",
    "pad_token": "<|endoftext|>",
}

LLAVA_TEMPLATE = (
    "{% for message in messages %}"
    "{% if message['role'] != 'system' %}{{ message['role'] | upper }}: {% endif %}"
    "{% for part in message['content'] if part['type'] == 'image' %}{{ '<image>\n' }}{% endfor %}"
    "{% for part in message['content'] if part['type'] == 'text' %}"
    "{% if message['role'] == 'assistant' %}"
    "{% generation %}{{ part['text'] + ' ' }}{% endgeneration %}"
    "{% else %}{{ part['text'] + ' ' }}{% endif %}{% endfor %}{% endfor %}"
    "{% if add_generation_prompt %}{{ 'ASSISTANT:' }}{% endif %}"
)
"""Vicuna's words: pictures first, no token that ends an answer."""
LLAVA_NEXT_TEMPLATE = (
    "{% for message in messages %}"
    "{% if message['role'] == 'system' %}"
    "{{ '<<SYS>>\n' + message['content'][0]['text'] + '\n<</SYS>>\n\n' }}"
    "{% elif message['role'] == 'user' %}{{ '[INST] ' }}"
    "{% for part in message['content'] if part['type'] == 'image' %}{{ '<image>\n' }}{% endfor %}"
    "{% for part in message['content'] if part['type'] == 'text' %}{{ part['text'] }}{% endfor %}"
    "{{ ' [/INST]' }}"
    "{% elif message['role'] == 'assistant' %}"
    "{{ ' ' + message['content'][0]['text'] + '<\\\\s> ' }}"
    "{% else %}{{ raise_exception('Only user and assistant roles are supported!') }}{% endif %}"
    "{% endfor %}"
)
"""Mistral's instructions; the published template misspells the end as ``<\\s>``."""
SMOLVLM_TEMPLATE = (
    "<|im_start|>{% for message in messages %}{{ message['role'] | capitalize }}"
    "{{ ':' if message['content'][0]['type'] == 'image' else ': ' }}"
    "{% for part in message['content'] %}"
    "{{ '<image>' if part['type'] == 'image' else part['text'] }}{% endfor %}"
    "<end_of_utterance>\n{% endfor %}{% if add_generation_prompt %}{{ 'Assistant:' }}{% endif %}"
)
QWEN_TEMPLATE = (
    "{% for message in messages %}"
    "{% if loop.first and message['role'] != 'system' %}"
    "{{ '<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n' }}{% endif %}"
    "{{ '<|im_start|>' + message['role'] + '\n' }}"
    "{% for part in message['content'] %}"
    "{{ '<|vision_start|><|image_pad|><|vision_end|>' if part['type'] == 'image' "
    "else part['text'] }}{% endfor %}{{ '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
INTERNVL_TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' }}"
    "{% for part in message['content'] %}"
    "{{ '<IMG_CONTEXT>\n' if part['type'] == 'image' else part['text'] }}{% endfor %}"
    "{{ '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


def save_llava(folder: Path) -> None:
    """LLaVA 1.5: CLIP, two linears, Llama; the last CLIP layer is not read."""
    tokens = _llama_tokenizer(folder, ("<unk>", "<s>", "</s>", "<pad>", "<image>"))
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
    tokens = _llama_tokenizer(folder, ("<unk>", "<s>", "</s>", "<pad>", "<image>"))
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
    _save_qwen(folder, Qwen2VLConfig, vision, "Qwen2VLProcessor")


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
    _save_qwen(folder, Qwen2_5_VLConfig, vision, "Qwen2_5_VLProcessor")


def save_paligemma(folder: Path) -> None:
    """PaliGemma: SigLIP, one linear, Gemma; no chat template."""
    tokens = _gemma_tokenizer(folder)
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
    tokens = _byte_level_tokenizer(
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


TINY_FAMILIES: dict[str, Callable[[Path], None]] = {
    "llava": save_llava,
    "llava_next": save_llava_next,
    "idefics3": save_idefics3,
    "smolvlm": save_smolvlm,
    "qwen2_vl": save_qwen2_vl,
    "qwen2_5_vl": save_qwen2_5_vl,
    "paligemma": save_paligemma,
    "internvl": save_internvl,
}
"""What writes a checkpoint into an empty folder, by the model type in its ``config.json``."""


def _save_smolvlm(folder: Path, config_class: Callable[..., PreTrainedConfig], name: str) -> None:
    places = ("<fake_token_around_image>", "<image>", "<end_of_utterance>", "<global-img>")
    tiles = tuple(f"<row_{row}_col_{col}>" for row in range(1, 7) for col in range(1, 7))
    tokens = _byte_level_tokenizer(
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
) -> None:
    places = ("<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>")
    tokens = _byte_level_tokenizer(
        folder,
        ("<|endoftext|>", "<|im_start|>", "<|im_end|>", *places),
        QWEN_TOKENIZER,
    )
    rope = {"type": "mrope", "mrope_section": [2, 3, 3], "rope_theta": 10000.0}
    config = config_class(
        vision_config=dict(vision),
        text_config=dict(
            **TINY_TEXT, rope_scaling=rope, **_ids(tokens, None, "<|im_end|>", "<|endoftext|>")
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


def _byte_level_tokenizer(
    folder: Path, special: Sequence[str], settings: Mapping[str, Any]
) -> dict[str, int]:
    """GPT-2's kind, as SmolVLM, Qwen and InternVL have."""
    tokenizer = Tokenizer(models.BPE())
    words = Regex(r"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+|\s*[\r\n]+|\s+")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(words, "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = BpeTrainer(
        vocab_size=len(alphabet) + NUM_WORD_PIECES,
        initial_alphabet=sorted(alphabet),
        show_progress=False,
    )
    tokenizer.train_from_iterator(SENTENCES, trainer)
    tokenizer.add_special_tokens([AddedToken(token, normalized=False) for token in special])
    return _save_tokenizer(folder, tokenizer, settings)


def _llama_tokenizer(folder: Path, special: Sequence[str]) -> dict[str, int]:
    """SentencePiece's kind with bytes to fall back on; begins every text with ``<s>``."""
    tokenizer = _sentence_pieces(special, pre_tokenizers.Metaspace(prepend_scheme="always"))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    tokenizer.decoder = decoders.Sequence(
        [
            decoders.Replace("▁", " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(" ", 1, 0),
        ]
    )
    begin = [("<s>", special.index("<s>"))]
    tokenizer.post_processor = TemplateProcessing(
        single="<s> $A", pair="<s> $A $B:1", special_tokens=begin
    )
    settings = {
        "tokenizer_class": "LlamaTokenizer",
        "bos_token": "<s>",
        "eos_token": "</s>",
        "unk_token": "<unk>",
        "pad_token": "<pad>",
        "padding_side": "left",
    }
    return _save_tokenizer(folder, tokenizer, settings)


def _gemma_tokenizer(folder: Path) -> dict[str, int]:
    """Gemma's kind: spaces become letters, nothing before the first word."""
    special = ("<pad>", "<eos>", "<bos>", "<unk>", "<mask>", "<image>")
    tokenizer = _sentence_pieces(special, pre_tokenizers.Metaspace(prepend_scheme="never"))
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    tokenizer.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    )
    begin = [("<bos>", special.index("<bos>"))]
    tokenizer.post_processor = TemplateProcessing(
        single="<bos> $A", pair="<bos> $A $B:1", special_tokens=begin
    )
    settings = {
        "tokenizer_class": "GemmaTokenizer",
        "bos_token": "<bos>",
        "eos_token": "<eos>",
        "unk_token": "<unk>",
        "pad_token": "<pad>",
        "mask_token": "<mask>",
        "extra_special_tokens": {"image_token": "<image>"},
    }
    return _save_tokenizer(folder, tokenizer, settings)


def _sentence_pieces(special: Sequence[str], words: pre_tokenizers.PreTokenizer) -> Tokenizer:
    trained = Tokenizer(models.BPE())
    trained.pre_tokenizer = words
    letters = sorted({*map(chr, range(33, 127)), "▁", "\n"})
    trainer = BpeTrainer(
        vocab_size=len(letters) + NUM_WORD_PIECES, initial_alphabet=letters, show_progress=False
    )
    trained.train_from_iterator(SENTENCES, trainer)
    learned = json.loads(trained.to_str())["model"]
    pieces = [*special, *(f"<0x{byte:02X}>" for byte in range(256)), *learned["vocab"]]
    tokenizer = Tokenizer(
        models.BPE(
            vocab={piece: number for number, piece in enumerate(pieces)},
            merges=[tuple(merge) for merge in learned["merges"]],
            unk_token="<unk>",  # noqa: S106 - no password
            fuse_unk=True,
            byte_fallback=True,
        )
    )
    tokenizer.add_special_tokens([AddedToken(token, normalized=False) for token in special])
    return tokenizer


def _save_tokenizer(
    folder: Path, tokenizer: Tokenizer, settings: Mapping[str, Any]
) -> dict[str, int]:
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    _write(folder, "tokenizer_config.json", {"model_max_length": 4096, **settings})
    tokens: dict[str, int] = tokenizer.get_vocab(with_added_tokens=True)
    return tokens


def _write(folder: Path, name: str, content: Mapping[str, Any]) -> None:
    (folder / name).write_text(json.dumps(content, indent=2), encoding="utf-8")
