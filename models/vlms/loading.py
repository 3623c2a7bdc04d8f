"""From a model's settings to the model, and what turns dialogues into its batches."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from rankscope.models.data.dialogue import Example
from rankscope.models.roots import Roots
from rankscope.models.vlms import AnyVlm, EmbeddedVlm, HubVlm, MobileVlm, SmolVlm
from rankscope.models.vlms.embedded.processing import load_embedded
from rankscope.models.vlms.hub.loading import load_hub
from rankscope.models.vlms.mobilevlm.checkpoints import load_checkpoint
from rankscope.models.vlms.mobilevlm.processing import MobileVlmProcessor
from rankscope.models.vlms.mobilevlm.sizes import SIZES
from rankscope.models.vlms.smol.prepared import load_prepared, prepared_folder

DRAWN_SIZE_PX = 336
"""Of pictures that built-in data sets draw for models that take pictures of any size: a multiple of
the three cells of a scene and of the usual patches of 14 px."""


class VlmProcessor(Protocol):
    """Dialogues and their pictures to batches, generated tokens to answers."""

    max_answer_tokens: int

    @property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        """The model's own."""
        ...

    def training_batch(self, examples: Sequence[Example]) -> dict[str, Tensor]:
        """A right-padded batch with labels on what the assistant says only."""
        ...

    def prompt_batch(self, examples: Sequence[Example]) -> dict[str, Tensor]:
        """A left-padded batch for ``generate``: all of each example but its last answer."""
        ...

    def decode(self, generated_ids_BL: Tensor) -> list[str]:
        """Answers from the tokens after the prompt."""
        ...


@dataclass(frozen=True)
class LoadedVlm:
    """A base model on its device, and its processor.

    Args:
        model: Frozen, in evaluation mode.
        processor: What makes its batches.
        device: Where it is.
        picture_size_px: Side of pictures that are drawn for it.
    """

    model: PreTrainedModel
    processor: VlmProcessor
    device: torch.device
    picture_size_px: int


def load_vlm(settings: AnyVlm, device: torch.device, roots: Roots) -> LoadedVlm:
    """Load the base model that ``settings`` name.

    Raises:
        ValueError: If it cannot be found, read or used; says what to do about it.
    """
    match settings:
        case EmbeddedVlm():
            model, processor = load_embedded()
            loaded = LoadedVlm(model, processor, device, processor.image_size_px)
        case MobileVlm():
            loaded = _mobilevlm(settings, device, roots)
        case SmolVlm():
            loaded = _smol(settings, device, roots)
        case HubVlm():
            here = settings.model_copy(update={"source": roots.model_source(settings.source)})
            hub_model, hub_processor = load_hub(
                here, device, allow_remote_code=roots.allow_remote_code
            )
            return LoadedVlm(hub_model, hub_processor, device, DRAWN_SIZE_PX)
    loaded.model.requires_grad_(False)
    nn.Module.to(loaded.model, device)
    nn.Module.train(loaded.model, False)
    return loaded


def _mobilevlm(settings: MobileVlm, device: torch.device, roots: Roots) -> LoadedVlm:
    if not settings.folder:
        raise ValueError(
            "model.folder must name the folder of the checkpoint to train, got none; download it "
            f"below {roots.models} and give its name"
        )
    folder = roots.model_folder(settings.folder)
    model = load_checkpoint(
        folder,
        vision_folder=_folder_if_any(settings.vision_folder, roots),
        projector_folder=_folder_if_any(settings.projector_folder, roots),
        new_projector=SIZES[settings.size][0],
        dtype={"fp32": torch.float32, "bf16": torch.bfloat16}[settings.precision],
    )
    if settings.gradient_checkpointing:
        model.activation_checkpointing_enable()
    processor = MobileVlmProcessor.from_pretrained(
        folder,
        model.config,
        template=settings.prompt,
        max_answer_tokens=settings.max_answer_tokens,
    )
    return LoadedVlm(model, processor, device, DRAWN_SIZE_PX)


def _folder_if_any(name: str, roots: Roots) -> Path | None:
    return roots.model_folder(name) if name else None


def _smol(settings: SmolVlm, device: torch.device, roots: Roots) -> LoadedVlm:
    model, processor = load_prepared(
        prepared_folder(roots.cache), max_answer_tokens=settings.max_answer_tokens
    )
    return LoadedVlm(model, processor, device, int(model.config.image_size_px))
