"""The projector by itself: begun anew before stage I, or taken over from one that was trained."""

from pathlib import Path

import torch
from torch import Tensor

from rankscope.models.full_parts import FILE_NAME
from rankscope.models.vlms.mobilevlm.configuration import MobileVlmConfig
from rankscope.models.vlms.mobilevlm.folder import file_in, tensors_of
from rankscope.models.vlms.mobilevlm.official_keys import from_official
from rankscope.models.vlms.mobilevlm.projectors import build_projector

OFFICIAL_NAME = "mm_projector.bin"
"""What the official code writes at the end of stage I."""
_PREFIX = "projector."
_START_SEED = 0
"""Of a projector that begins anew: every process that loads the model must begin with the same."""


def begin_projector(config: MobileVlmConfig) -> dict[str, Tensor]:
    """A projector before stage I, under the names it has in the model; equal at every call."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(_START_SEED)
        projector = build_projector(config)
    return {f"{_PREFIX}{name}": tensor for name, tensor in projector.state_dict().items()}


def read_projector(folder: Path, config: MobileVlmConfig) -> dict[str, Tensor]:
    """A trained projector from the export of a run or from the official code's own file.

    Raises:
        ValueError: If there is neither file, or it holds no projector.
    """
    name = FILE_NAME if (folder / FILE_NAME).is_file() else OFFICIAL_NAME
    named = {
        key if key.startswith(_PREFIX) else _renamed(key, config): tensor
        for key, tensor in tensors_of(file_in(folder, name))
    }
    found = {key: tensor for key, tensor in named.items() if key.startswith(_PREFIX)}
    if not found:
        raise ValueError(
            f"{folder / name} must hold a projector, got none among {len(named)} tensors; give the "
            "export of a run that trained training.full_parts=[projector]"
        )
    return found


def _renamed(key: str, config: MobileVlmConfig) -> str:
    return from_official(key, num_vision_layers=config.num_vision_layers) or ""
