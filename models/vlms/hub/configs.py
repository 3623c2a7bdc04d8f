"""A model's configuration, and whether it is of a kind that can be fine-tuned here."""

from pathlib import Path

from transformers import AutoConfig, PreTrainedConfig
from transformers.models.auto.configuration_auto import CONFIG_MAPPING
from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING

from rankscope.models.vlms.hub.sources import CONFIG
from rankscope.models.vlms.mobilevlm.folder import read_json

AUTO_CLASS = "AutoModelForImageTextToText"


def read_config(folder: Path, *, allow_remote_code: bool) -> PreTrainedConfig:
    """The configuration in a folder.

    Raises:
        ValueError: If it is broken, of an architecture that does not go from pictures and words to
            words one by one, or needs code that the model brings along and that is not allowed.
    """
    raw = read_json(folder, CONFIG)
    model_type = raw.get("model_type")
    runs_its_own = AUTO_CLASS in (raw.get("auto_map") or {})
    is_known = isinstance(model_type, str) and model_type in CONFIG_MAPPING
    if not is_known and raw.get("auto_map"):
        _check_remote_code(folder, model_type, has_model=runs_its_own, allowed=allow_remote_code)
    elif not is_known:
        raise ValueError(
            f"{folder / CONFIG} must tell a model_type that transformers knows, got "
            f"{model_type!r}; give a model in the format of transformers, or a newer transformers"
        )
    config = _built(folder, trust=allow_remote_code and not is_known)
    if is_known and type(config) not in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING:
        raise ValueError(
            f"a model must take pictures and text and answer in text ({AUTO_CLASS}), got "
            f"model_type {model_type!r}; give a vision-language model"
        )
    text = config.get_text_config()
    if config.is_encoder_decoder or getattr(text, "is_encoder_decoder", False):
        raise ValueError(
            "a model must read question and answer as one text (decoder only), got model_type "
            f"{model_type!r}, an encoder and a decoder; give another model"
        )
    return config


def needs_own_code(config: PreTrainedConfig) -> bool:
    """Whether the model is made by code that it brings along, which was allowed then.

    Models that transformers knows are made by its code, whatever else lies beside them.
    """
    return type(config) not in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING


def max_context_tokens(config: PreTrainedConfig) -> int | None:
    """Positions that the language model was made for, None if its configuration does not tell."""
    num_positions = getattr(config.get_text_config(), "max_position_embeddings", None)
    return int(num_positions) if num_positions else None


def _check_remote_code(folder: Path, model_type: object, *, has_model: bool, allowed: bool) -> None:
    if not allowed:
        raise ValueError(
            "a model's own code is not run unless the operator of this machine allows it, got "
            f"model_type {model_type!r} in {folder}, which transformers does not know; give a "
            "version in the format of transformers (for many there is one ending in -hf)"
        )
    if not has_model:
        raise ValueError(
            f"a model's own code must offer {AUTO_CLASS}, got model_type {model_type!r} in "
            f"{folder} without it; give a version in the format of transformers"
        )


def _built(folder: Path, *, trust: bool) -> PreTrainedConfig:
    try:
        config: PreTrainedConfig = AutoConfig.from_pretrained(
            folder, local_files_only=True, trust_remote_code=trust
        )
    except Exception as error:  # every architecture checks its own values in its own way
        raise ValueError(
            f"{folder / CONFIG} must describe a model, got {str(error).strip() or error!r}; "
            "download it again"
        ) from error
    return config
