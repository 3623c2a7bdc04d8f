"""From a model's settings to the model, and what turns dialogues into its batches."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from rankscope.models.data.dialogue import Example
from rankscope.models.roots import Roots
from rankscope.models.vlms import AnyVlm, EmbeddedVlm, HubVlm, MobileVlm
from rankscope.models.vlms.embedded.processing import load_embedded
from rankscope.models.vlms.hub.loading import load_hub
from rankscope.models.vlms.mobilevlm.checkpoints import load_checkpoint
from rankscope.models.vlms.mobilevlm.processing import MobileVlmProcessor

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
    vision_folder = roots.model_folder(settings.vision_folder) if settings.vision_folder else None
    dtype = {"fp32": torch.float32, "bf16": torch.bfloat16}[settings.precision]
    model = load_checkpoint(folder, vision_folder=vision_folder, dtype=dtype)
    if settings.gradient_checkpointing:
        model.activation_checkpointing_enable()
    processor = MobileVlmProcessor.from_pretrained(
        folder,
        model.config,
        template=settings.prompt,
        max_answer_tokens=settings.max_answer_tokens,
    )
    return LoadedVlm(model, processor, device, DRAWN_SIZE_PX)
