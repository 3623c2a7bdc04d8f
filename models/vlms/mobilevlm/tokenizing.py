"""The Llama tokenizer of a checkpoint's folder."""

from importlib.util import find_spec
from pathlib import Path

from transformers import LlamaTokenizer, PreTrainedTokenizerFast

from rankscope.models.vlms.mobilevlm.folder import file_in, read_json

_CONVERTERS = {"sentencepiece": "sentencepiece", "google.protobuf": "protobuf"}
"""Packages that read ``tokenizer.model``, by the name they are imported under."""


def load_tokenizer(folder: Path) -> PreTrainedTokenizerFast:
    """The tokenizer, from ``tokenizer.json`` or else from Llama's own ``tokenizer.model``.

    The official checkpoints hold the latter and were trained with the tokenizer's first version,
    which puts a space before what follows an end token too; transformers 5 does so only if told.

    Raises:
        ValueError: If there is neither file, or a package to read the latter is missing.
    """
    if (folder / "tokenizer.json").exists():
        file_in(folder, "tokenizer.json")
        tokenizer: PreTrainedTokenizerFast = PreTrainedTokenizerFast.from_pretrained(
            folder, local_files_only=True
        )
        return tokenizer
    file_in(folder, "tokenizer.model")
    missing = [package for module, package in _CONVERTERS.items() if not _can_import(module)]
    if missing:
        raise ValueError(
            f"{folder / 'tokenizer.model'} can only be read with {' and '.join(missing)}, which "
            f"are not installed; run 'pip install {' '.join(missing)}', or put a tokenizer.json "
            "beside it"
        )
    told = {}
    if (folder / "tokenizer_config.json").exists():
        told = read_json(folder, "tokenizer_config.json")
    is_first_version = True if told.get("legacy") is None else bool(told["legacy"])
    converted: PreTrainedTokenizerFast = LlamaTokenizer.from_pretrained(
        folder, local_files_only=True, legacy=is_first_version
    )
    return converted


def _can_import(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False
