"""From settings to a frozen model of transformers and its processor."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import nn
from transformers import (
    AutoModelForImageTextToText,
    BitsAndBytesConfig,
    GenerationConfig,
    PreTrainedConfig,
    PreTrainedModel,
)
from transformers.utils import GENERATION_CONFIG_NAME

from rankscope.models.vlms.hub.chat_rows import ChatWriter
from rankscope.models.vlms.hub.configs import max_context_tokens, needs_own_code, read_config
from rankscope.models.vlms.hub.families import Family, family_of
from rankscope.models.vlms.hub.paligemma import PrefixWriter
from rankscope.models.vlms.hub.picture_processor import PictureProcessor
from rankscope.models.vlms.hub.processing import HubProcessor
from rankscope.models.vlms.hub.processors import build_processor, limit_pictures
from rankscope.models.vlms.hub.rows import Writer
from rankscope.models.vlms.hub.settings import QUANTISED, HubVlm, Precision
from rankscope.models.vlms.hub.sources import folder_of

DTYPES: dict[Precision, torch.dtype] = {
    "fp32": torch.float32,
    "bf16": torch.bfloat16,
    "fp16": torch.float16,
    "nf4": torch.bfloat16,
    "int8": torch.bfloat16,
}
"""Of the base model's activations, and of its parameters where they are not quantised."""
_MAX_NAMES_SHOWN = 4


def load_hub(
    settings: HubVlm, device: torch.device, *, allow_remote_code: bool = False
) -> tuple[PreTrainedModel, HubProcessor]:
    """The model that ``settings`` name, frozen, in evaluation mode, and its processor.

    Generation is greedy and ends where answers end; what else the model's own
    ``generation_config.json`` asks for, such as Qwen's penalty on repetition, is left out, so that
    models are compared by the same rule.

    Args:
        settings: Which model, how.
        device: Where to.
        allow_remote_code: Whether code that the model brings along may run on this machine; the
            operator's decision, never a setting of a run.

    Raises:
        ValueError: If the model cannot be found, read or used; says what to do about it.
    """
    _check_precision(settings.precision, device)
    folder = folder_of(settings, with_weights=True, allow_remote_code=allow_remote_code)
    config = read_config(folder, allow_remote_code=allow_remote_code)
    family = family_of(config)
    processor = _pictures_and_words(settings, folder, config, family)
    model = _loaded(folder, config, settings, device)
    if family.prepare is not None:
        family.prepare(model)
    writer = _writer(processor, family, model.generation_config)
    model.requires_grad_(requires_grad=False)
    nn.Module.train(model, mode=False)
    if settings.gradient_checkpointing:
        _checkpoint(model)
    _generate_plainly(model, writer, processor)
    return model, _hub_processor(settings, writer, processor)


def load_hub_processor(settings: HubVlm, *, allow_remote_code: bool = False) -> HubProcessor:
    """The processor of the model that ``settings`` name; no weights are read or downloaded.

    Raises:
        ValueError: As ``load_hub`` raises it, weights aside.
    """
    folder = folder_of(settings, with_weights=False, allow_remote_code=allow_remote_code)
    config = read_config(folder, allow_remote_code=allow_remote_code)
    family = family_of(config)
    processor = _pictures_and_words(settings, folder, config, family)
    writer = _writer(processor, family, _told_generation(folder, config))
    return _hub_processor(settings, writer, processor)


def _pictures_and_words(
    settings: HubVlm, folder: Path, config: PreTrainedConfig, family: Family
) -> PictureProcessor:
    """The model's own processor, within the limits of ``settings``."""
    _check_context(settings, config)
    processor = build_processor(folder, config, family)
    if settings.max_picture_pixels is not None:
        limit_pictures(processor, config, family, settings.max_picture_pixels)
    return processor


def _hub_processor(settings: HubVlm, writer: Writer, processor: PictureProcessor) -> HubProcessor:
    return HubProcessor(
        writer,
        processor.tokenizer,
        max_length_tokens=settings.max_length,
        max_answer_tokens=settings.max_answer_tokens,
    )


def _told_generation(folder: Path, config: PreTrainedConfig) -> GenerationConfig:
    """As a loaded model has it: of its own file, else of its configuration."""
    if (folder / GENERATION_CONFIG_NAME).is_file():
        return GenerationConfig.from_pretrained(folder, local_files_only=True)
    return GenerationConfig.from_model_config(config)


def _loaded(
    folder: Path, config: PreTrainedConfig, settings: HubVlm, device: torch.device
) -> PreTrainedModel:
    quantised: dict[str, Any] = {}
    if settings.precision in QUANTISED:
        quantised = {
            "quantization_config": _quantisation(settings.precision),
            "device_map": {"": device},
        }
    try:
        loaded: Any = AutoModelForImageTextToText.from_pretrained(
            folder,
            config=config,
            dtype=DTYPES[settings.precision],
            use_safetensors=True,
            local_files_only=True,
            trust_remote_code=needs_own_code(config),
            output_loading_info=True,
            **quantised,
        )
    except torch.OutOfMemoryError:
        raise  # the weights are as they should be
    except (OSError, RuntimeError, ValueError, ImportError, SafetensorError) as error:
        reason = next(iter(str(error).strip().splitlines()), "") or repr(error)
        raise ValueError(
            f"the weights in {folder} must be those that its config.json tells, got {reason}; "
            "check that all files are whole and of one download"
        ) from error
    model: PreTrainedModel
    model, told = loaded
    missing = sorted(told["missing_keys"])
    if missing:
        rest = len(missing) - _MAX_NAMES_SHOWN
        shown = ", ".join(missing[:_MAX_NAMES_SHOWN]) + (f" and {rest} more" if rest > 0 else "")
        raise ValueError(
            f"the weights in {folder} must be those that its config.json tells, got none for "
            f"{shown}; check that all files are whole and of one download"
        )
    if not quantised:
        nn.Module.to(model, device)
    return model


def _quantisation(precision: Precision) -> BitsAndBytesConfig:
    if precision == "int8":
        return BitsAndBytesConfig(load_in_8bit=True)  # type: ignore[no-untyped-call]
    return BitsAndBytesConfig(  # type: ignore[no-untyped-call]
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=DTYPES[precision],
    )


def _writer(
    processor: PictureProcessor, family: Family, generation: GenerationConfig | None
) -> Writer:
    told = None if generation is None else generation.eos_token_id
    end_ids = [told] if isinstance(told, int) else list(told or [])
    return (ChatWriter if family.has_chat else PrefixWriter)(processor, end_ids)


def _generate_plainly(model: PreTrainedModel, writer: Writer, processor: PictureProcessor) -> None:
    model.generation_config = GenerationConfig(  # type: ignore[no-untyped-call]
        do_sample=False,
        bos_token_id=processor.tokenizer.bos_token_id,
        eos_token_id=sorted(writer.end_ids),
        pad_token_id=processor.tokenizer.pad_token_id,
    )


def _checkpoint(model: PreTrainedModel) -> None:
    if not model.supports_gradient_checkpointing:
        raise ValueError(
            "gradient_checkpointing must be something that the model knows, got it for "
            f"{type(model).__name__}; switch it off"
        )
    model.activation_checkpointing_enable()


def _check_precision(precision: Precision, device: torch.device) -> None:
    if precision not in QUANTISED:
        return
    if device.type != "cuda":
        raise ValueError(
            f"precision {precision} must have a CUDA device, got {device.type}; use bf16 or fp32"
        )
    if find_spec("bitsandbytes") is None:
        raise ValueError(
            f"precision {precision} needs the package bitsandbytes, got none; install it (pip "
            "install bitsandbytes) or use bf16"
        )


def _check_context(settings: HubVlm, config: PreTrainedConfig) -> None:
    context = max_context_tokens(config)
    if context is not None and settings.max_length > context:
        raise ValueError(
            f"max_length must not exceed the model's context of {context} tokens, got "
            f"{settings.max_length}; lower it"
        )
