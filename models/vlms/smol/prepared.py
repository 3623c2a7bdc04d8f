"""The model as ``rankscope prepare smol`` leaves it: a folder that ``from_pretrained`` reads."""

import json
from pathlib import Path

import torch
from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

from rankscope.models.vlms.smol.features import FeatureCache
from rankscope.models.vlms.smol.modeling import SmolVlmForConditionalGeneration
from rankscope.models.vlms.smol.places import RECORD, features_folder, prepared_folder
from rankscope.models.vlms.smol.processing import SmolProcessor

__all__ = ["load_prepared", "prepared_folder", "save_prepared"]


def load_prepared(
    folder: Path, *, max_answer_tokens: int
) -> tuple[SmolVlmForConditionalGeneration, SmolProcessor]:
    """The model in float32, in evaluation mode, and its processor.

    Raises:
        ValueError: If the folder was not prepared, or not to its end.
    """
    if not (folder / RECORD).is_file():
        raise ValueError(
            f"model smol must have been prepared on this machine, got no {folder}; run "
            "`rankscope prepare smol`"
        )
    model = SmolVlmForConditionalGeneration.from_pretrained(
        folder, local_files_only=True, dtype=torch.float32
    )
    model.train(mode=False)
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder, local_files_only=True)
    features = FeatureCache(
        lambda pixels_PCHW: model.picture_features(pixels_PCHW.to(model.device)),
        model.config.image_size_px,
        features_folder(folder),
    )
    processor = SmolProcessor(
        tokenizer, model.config, features, max_answer_tokens=max_answer_tokens
    )
    return model, processor


def save_prepared(
    folder: Path,
    model: SmolVlmForConditionalGeneration,
    tokenizer: PreTrainedTokenizerBase,
    origin: dict[str, str],
) -> None:
    """Write model and tokenizer to a new folder, and last a record of what they were made of."""
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    (folder / RECORD).write_text(json.dumps(origin, indent=2) + "\n", encoding="utf-8")
