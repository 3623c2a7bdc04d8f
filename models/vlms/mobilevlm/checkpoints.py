"""MobileVLM from its official checkpoints or from folders that were saved here."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import CLIPVisionConfig, LlamaConfig

from rankscope.models.vlms.mobilevlm.configuration import MobileVlmConfig
from rankscope.models.vlms.mobilevlm.folder import read_json, tensors_in
from rankscope.models.vlms.mobilevlm.modeling import MobileVlmForConditionalGeneration
from rankscope.models.vlms.mobilevlm.official_keys import from_clip, from_official
from rankscope.models.vlms.mobilevlm.projector_files import begin_projector, read_projector
from rankscope.models.vlms.mobilevlm.sizes import CLIP_L_14_336, ProjectorKind

CLIP_HUB_ID = "openai/clip-vit-large-patch14-336"
"""The tower of all published models."""

_MAX_NAMES_SHOWN = 6
_TEXT_KEYS = (
    *("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers"),
    *("num_attention_heads", "num_key_value_heads", "hidden_act", "max_position_embeddings"),
    *("initializer_range", "rms_norm_eps", "pad_token_id", "bos_token_id", "eos_token_id"),
    *("tie_word_embeddings", "rope_theta", "rope_scaling", "attention_bias"),
)
"""What an official ``config.json`` says about the language model."""
_REQUIRED_KEYS = ("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers")


def load_checkpoint(
    folder: Path,
    *,
    vision_folder: Path | None = None,
    projector_folder: Path | None = None,
    new_projector: ProjectorKind = "ldpnetv2",
    dtype: torch.dtype = torch.float32,
) -> MobileVlmForConditionalGeneration:
    """The model of a folder, in evaluation mode.

    The folder is an official one, one that ``save_pretrained`` wrote, or MobileLLaMA's, which a
    projector and CLIP's tower are added to.

    Args:
        folder: Holds ``config.json`` and the weights.
        vision_folder: CLIP's, as downloaded. Its ``config.json`` tells the tower's sizes, without
            it they are those of ViT-L/14 at 336 px; its weights are read if ``folder`` has none of
            the tower.
        projector_folder: Holds the projector to begin with instead of the checkpoint's own.
        new_projector: Which one MobileLLaMA gets.
        dtype: Of the parameters.

    Raises:
        ValueError: If the folder is none of these, or parameters are missing, unknown or of
            another shape.
    """
    config = config_in(folder, vision_folder, new_projector)
    match read_json(folder, "config.json")["model_type"]:
        case MobileVlmConfig.model_type:
            tensors = dict(tensors_in(folder))
        case "llama":
            tensors = begin_projector(config) | _official_tensors(folder, vision_folder, config)
        case _:
            tensors = _official_tensors(folder, vision_folder, config)
    if projector_folder is not None:
        kept = {name: t for name, t in tensors.items() if not name.startswith("projector.")}
        tensors = kept | read_projector(projector_folder, config)
    return _assembled(tensors, config, projector_folder or folder, dtype)


def config_in(
    folder: Path,
    vision_folder: Path | None = None,
    new_projector: ProjectorKind = "ldpnetv2",
) -> MobileVlmConfig:
    """The configuration of a folder that ``load_checkpoint`` takes; reads no weights.

    Raises:
        ValueError: If the folder is none of these.
    """
    raw = read_json(folder, "config.json")
    match raw.get("model_type"):
        case MobileVlmConfig.model_type:
            config: MobileVlmConfig = MobileVlmConfig.from_dict(raw)
            return config
        case "mobilevlm":
            return official_config(folder, vision_folder)
        case "llama":
            return official_config(folder, vision_folder, new_projector)
        case other:
            raise ValueError(
                f"{folder / 'config.json'} must be of model_type 'mobilevlm', 'llama' or "
                f"'rankscope_mobilevlm', got {other!r}; give the folder of a MobileVLM or of "
                "MobileLLaMA"
            )


def official_config(
    folder: Path, vision_folder: Path | None = None, new_projector: ProjectorKind | None = None
) -> MobileVlmConfig:
    """Our configuration of an official checkpoint, or of MobileLLaMA with a new projector.

    Raises:
        ValueError: If ``config.json`` is missing or none of MobileVLM's.
    """
    raw = read_json(folder, "config.json")
    missing = [key for key in _REQUIRED_KEYS if key not in raw]
    if missing:
        raise ValueError(
            f"{folder / 'config.json'} must tell the sizes of the language model, got no "
            f"{', '.join(missing)}; download it again"
        )
    if raw.get("mm_vision_select_feature", "patch") != "patch" or raw.get("mm_use_im_start_end"):
        raise ValueError(
            f"{folder / 'config.json'} must have mm_vision_select_feature 'patch' and no "
            f"mm_use_im_start_end, got {raw.get('mm_vision_select_feature')!r} and "
            f"{raw.get('mm_use_im_start_end')!r}; MobileVLM was published so"
        )
    vision_config = _vision_config(vision_folder)
    width = raw.get("mm_hidden_size", vision_config.hidden_size)
    if width != vision_config.hidden_size:
        raise ValueError(
            f"{folder / 'config.json'} expects a vision tower of width {width}, got "
            f"{vision_config.hidden_size}; give the folder of the right one as vision_folder"
        )
    config = MobileVlmConfig(
        vision_config=vision_config,
        text_config=LlamaConfig(**{key: raw[key] for key in _TEXT_KEYS if key in raw}),
        projector=new_projector or _projector(raw.get("mm_projector_type")),
        vision_feature_layer=raw.get("mm_vision_select_layer", -2),
    )
    config.visual_tokens_per_side = (config.patches_per_side + 1) // 2
    return config


def check_complete(tensors: dict[str, Tensor], config: MobileVlmConfig, source: Path) -> None:
    """Compare with what a model of this configuration holds.

    Raises:
        ValueError: Naming what is missing, unknown or of another shape.
    """
    with torch.device("meta"):
        model = MobileVlmForConditionalGeneration(config)
    shapes = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    problems = [
        f"{len(names)} {what}: {_shown(names)}"
        for what, names in (
            ("missing", shapes.keys() - tensors.keys()),
            ("unknown", tensors.keys() - shapes.keys()),
            (
                "of another shape",
                {
                    f"{name} {tuple(tensors[name].shape)} instead of {shape}"
                    for name, shape in shapes.items()
                    if name in tensors and tuple(tensors[name].shape) != shape
                },
            ),
        )
        if names
    ]
    if problems:
        raise ValueError(
            f"the parameters in {source} must be those that its config.json tells "
            f"({config.projector}), got {'; '.join(problems)}; check that all files are of one "
            "download"
        )


def _assembled(
    tensors: dict[str, Tensor], config: MobileVlmConfig, source: Path, dtype: torch.dtype
) -> MobileVlmForConditionalGeneration:
    check_complete(tensors, config, source)
    model = MobileVlmForConditionalGeneration.from_pretrained(
        None, config=config, state_dict=tensors, dtype=dtype
    )
    # Adapters note down which model they belong to.
    model.config.name_or_path = str(source)
    return model


def _official_tensors(
    folder: Path, vision_folder: Path | None, config: MobileVlmConfig
) -> dict[str, Tensor]:
    tensors = _read(folder, from_official, config)
    if not any(name.startswith("vision_tower.") for name in tensors):
        if vision_folder is None:
            raise ValueError(
                f"{folder} holds no vision tower, got no vision_folder either; download "
                f"{CLIP_HUB_ID} and give its folder"
            )
        tensors |= _read(vision_folder, from_clip, config)
    return tensors


def _read(
    folder: Path, renamed: Callable[..., str | None], config: MobileVlmConfig
) -> dict[str, Tensor]:
    named = (
        (renamed(key, num_vision_layers=config.num_vision_layers), tensor)
        for key, tensor in tensors_in(folder)
    )
    return {name: tensor for name, tensor in named if name is not None}


def _vision_config(folder: Path | None) -> CLIPVisionConfig:
    if folder is None:
        return CLIPVisionConfig(**CLIP_L_14_336)
    raw: dict[str, Any] = read_json(folder, "config.json")
    # CLIP whole, or its vision tower by itself.
    return CLIPVisionConfig.from_dict(raw.get("vision_config", raw))


def _projector(official: object) -> ProjectorKind:
    for kind in ("ldpnetv2", "ldpnet"):
        if isinstance(official, str) and official.startswith(kind):
            return kind
    raise ValueError(
        f"mm_projector_type must be 'ldpnet' or 'ldpnetv2', got {official!r}; give the folder of a "
        "MobileVLM"
    )


def _shown(names: Iterable[str]) -> str:
    in_order = sorted(names)
    rest = len(in_order) - _MAX_NAMES_SHOWN
    return ", ".join(in_order[:_MAX_NAMES_SHOWN]) + (f" and {rest} more" if rest > 0 else "")
