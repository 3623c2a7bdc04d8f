"""From a model's settings to the model, and what turns questions and pictures into its batches."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from rankscope.models.data.dialogue import Example
from rankscope.models.vlms import AnyVlm
from rankscope.models.vlms.embedded.processing import load_embedded


class VlmProcessor(Protocol):
    """Dialogues and their pictures to batches, generated tokens to answers."""

    image_size_px: int
    """Side of the pictures that built-in data sets draw for the model."""
    max_answer_tokens: int

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
    """A base model on its device, and its processor."""

    model: PreTrainedModel
    processor: VlmProcessor
    device: torch.device


def load_vlm(settings: AnyVlm, device: torch.device) -> LoadedVlm:
    """Load the base model that ``settings`` name, frozen, in evaluation mode."""
    loaders = {"embedded": load_embedded}
    model, processor = loaders[settings.kind]()
    model.requires_grad_(False)
    nn.Module.to(model, device)
    nn.Module.train(model, False)
    return LoadedVlm(model, processor, device)
