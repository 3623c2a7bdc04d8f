"""Tokenizers of the kinds that vision-language models have, trained on a few sentences.

Each is written as its family publishes it: ``tokenizer.json`` and ``tokenizer_config.json``.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers
from tokenizers.processors import TemplateProcessing
from tokenizers.trainers import BpeTrainer

SENTENCES = (
    "USER: What color is the bus? ASSISTANT: The bus is red and white.",
    "User: How many dogs are in the picture? Assistant: There are two dogs.",
    "system You are a helpful assistant. user Where is the cat? assistant On the left.",
    "tool {temperature: 21} yes no answer en caption What is it? A small house.",
)
"""What the tokenizers are trained on."""
NUM_WORD_PIECES = 120


def save_byte_level_tokenizer(
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
    return _saved(folder, tokenizer, settings)


def save_llama_tokenizer(folder: Path, special: Sequence[str]) -> dict[str, int]:
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
    return _saved(folder, tokenizer, settings)


def save_gemma_tokenizer(folder: Path) -> dict[str, int]:
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
    return _saved(folder, tokenizer, settings)


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


def _saved(folder: Path, tokenizer: Tokenizer, settings: Mapping[str, Any]) -> dict[str, int]:
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    told = json.dumps({"model_max_length": 4096, **settings}, indent=2)
    (folder / "tokenizer_config.json").write_text(told, encoding="utf-8")
    tokens: dict[str, int] = tokenizer.get_vocab(with_added_tokens=True)
    return tokens
