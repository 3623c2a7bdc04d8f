"""A model's processor, built for pictures and text alone.

Pictures are prepared by the classes that need nothing but Pillow, on every machine alike;
processors of video are left out. Both would ask for torchvision.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import transformers
from transformers import (
    AutoImageProcessor,
    AutoProcessor,
    AutoTokenizer,
    PreTrainedConfig,
    PreTrainedTokenizerBase,
    ProcessorMixin,
)
from transformers.image_processing_utils import BaseImageProcessor
from transformers.models.auto.processing_auto import PROCESSOR_MAPPING

from rankscope.models.vlms.hub.configs import needs_own_code
from rankscope.models.vlms.hub.families import Family
from rankscope.models.vlms.hub.picture_processor import PictureProcessor

PICTURES = "a picture processor (preprocessor_config.json)"
TOKENIZER = "a tokenizer (tokenizer.json)"
_VOCABULARIES = (
    *("tokenizer.json", "tokenizer.model", "spiece.model", "sentencepiece.bpe.model"),
    *("tiktoken.model", "tekken.json", "vocab.json", "vocab.txt"),
)
"""Files one of which holds a tokenizer's words; without any, transformers makes an empty one."""


def build_processor(folder: Path, config: PreTrainedConfig, family: Family) -> PictureProcessor:
    """The processor of the model in a folder.

    Raises:
        ValueError: If a part of it is missing, broken or of a kind that cannot be used.
    """
    if needs_own_code(config):
        processor = _from_own_code(folder)
    elif type(config) in PROCESSOR_MAPPING:
        processor = _from_parts(folder, _class_of(config, family))
    else:
        raise ValueError(
            "a model must have a processor of pictures and text in transformers, got model_type "
            f"{config.model_type!r} without; give another model"
        )
    _check_tokenizer(processor, folder)
    _check_image_token(processor, config, folder)
    return cast("PictureProcessor", processor)


def limit_pictures(
    processor: PictureProcessor, config: PreTrainedConfig, family: Family, max_pixels: int
) -> None:
    """Make a processor keep at most so many pixels of every picture.

    Raises:
        ValueError: If that has no effect on the model's family, or is too little for it.
    """
    if family.limit_pictures is None:
        raise ValueError(
            "max_picture_pixels must have an effect, got it for model_type "
            f"{config.model_type!r}, whose pictures all become one size or in a way unknown here; "
            "leave it out"
        )
    family.limit_pictures(processor.image_processor, config, max_pixels)


def _class_of(config: PreTrainedConfig, family: Family) -> type[ProcessorMixin]:
    own = (
        PROCESSOR_MAPPING[type(config)]
        if family.processor_class is None
        else getattr(transformers, family.processor_class)
    )

    class WithoutVideo(own):  # type: ignore[misc, valid-type]
        """The model's processor, content with None as its video processor."""

        def check_argument_for_proper_class(self, argument_name: str, argument: object) -> object:
            if argument_name == "video_processor" and argument is None:
                return None
            return super().check_argument_for_proper_class(argument_name, argument)

    return cast("type[ProcessorMixin]", WithoutVideo)


def _from_parts(folder: Path, processor_class: type[ProcessorMixin]) -> ProcessorMixin:
    parts: dict[str, BaseImageProcessor | PreTrainedTokenizerBase | None] = {
        "video_processor": None
    }
    with _telling(folder, PICTURES):
        parts["image_processor"] = AutoImageProcessor.from_pretrained(  # type: ignore[no-untyped-call]
            folder, backend="pil", local_files_only=True, trust_remote_code=False
        )
    with _telling(folder, TOKENIZER):
        if not any((folder / name).is_file() for name in _VOCABULARIES):
            raise FileNotFoundError("no file of words")
        parts["tokenizer"] = AutoTokenizer.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False
        )
    names: list[str] = processor_class.get_attributes()  # type: ignore[no-untyped-call]
    unknown = [name for name in names if name not in parts]
    if unknown:
        raise ValueError(
            f"a processor must be made of pictures and text, got {unknown[0]!r} in "
            f"{processor_class.__mro__[1].__name__}; give another model"
        )
    with _telling(folder, "a processor (processor_config.json)"):
        told, _ = processor_class.get_processor_dict(folder, local_files_only=True)
        in_order = [parts[name] for name in names]
        processor: ProcessorMixin = processor_class.from_args_and_dict(in_order, told)
    return processor


def _from_own_code(folder: Path) -> ProcessorMixin:
    with _telling(folder, "a processor"):
        processor: ProcessorMixin = AutoProcessor.from_pretrained(  # type: ignore[no-untyped-call]
            folder, local_files_only=True, trust_remote_code=True
        )
    return processor


@contextmanager
def _telling(folder: Path, what: str) -> Iterator[None]:
    """Whatever transformers says about a part that it cannot build, as rule, value and remedy."""
    try:
        yield
    except Exception as error:  # every class checks its own files in its own way
        reason = next(iter(str(error).strip().splitlines()), "") or repr(error)
        raise ValueError(
            f"a model must come with {what} that can be used, got {folder} without ({reason}); "
            "complete the download or give another model"
        ) from error


def _check_tokenizer(processor: ProcessorMixin, folder: Path) -> None:
    tokenizer = getattr(processor, "tokenizer", None)
    if not isinstance(tokenizer, PreTrainedTokenizerBase) or not tokenizer.is_fast:
        raise ValueError(
            "a tokenizer must tell the place of every token in its text (tokenizer.json), got "
            f"{type(tokenizer).__name__} in {folder}; convert it to tokenizer.json once"
        )
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token


def _check_image_token(processor: ProcessorMixin, config: PreTrainedConfig, folder: Path) -> None:
    token = getattr(processor, "image_token", None)
    if token is None:
        raise ValueError(
            "a processor must tell the token that stands for a picture (image_token), got "
            f"{type(processor).__name__} without; give another model"
        )
    told = getattr(config, "image_token_id", None)
    found = processor.tokenizer.convert_tokens_to_ids(token)
    if told is not None and told != found:
        raise ValueError(
            "tokenizer and model must agree on the token that stands for a picture, got "
            f"{token!r} = {found} and image_token_id {told} in {folder}; check "
            "that all files are of one download"
        )
