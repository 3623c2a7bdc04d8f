"""The families of models that were tried, and what each one needs besides the general way.

A model of another family is treated by its chat template and its own processor too; it works if
they keep to what transformers asks of them, and is refused in words where they do not.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from transformers import PreTrainedConfig, PreTrainedModel

from rankscope.models.vlms.hub.llava import drop_unread_layers
from rankscope.models.vlms.hub.picture_limits import (
    limit_areas,
    limit_grids,
    limit_longest_side,
    limit_tiles,
)

LimitPictures = Callable[[Any, PreTrainedConfig, int], None]
"""Of a family's own picture processor and the model's configuration."""


@dataclass(frozen=True)
class Family:
    """What sets a family apart.

    Args:
        model_types: As in ``config.json``.
        processor_class: Of transformers, where another one than the model's own does the same
            with fewer packages.
        has_chat: Whether it is spoken to through a chat template; if not, in a way of its own.
        limit_pictures: Makes its processor keep at most so many pixels of a picture; None where
            all pictures become one size.
        prepare: Done to every model of the family once it is built, on any device.
    """

    model_types: tuple[str, ...]
    processor_class: str | None = None
    has_chat: bool = True
    limit_pictures: LimitPictures | None = None
    prepare: Callable[[PreTrainedModel], None] | None = None


FAMILIES = (
    Family(("llava",), prepare=drop_unread_layers),
    Family(("llava_next",), limit_pictures=limit_grids, prepare=drop_unread_layers),
    Family(("idefics3",), limit_pictures=limit_longest_side),
    # SmolVLM's own processor asks for num2words, which it needs to tell the time of a video's
    # frames; with pictures Idefics3's does the same.
    Family(("smolvlm",), processor_class="Idefics3Processor", limit_pictures=limit_longest_side),
    Family(("qwen2_vl", "qwen2_5_vl", "qwen3_vl"), limit_pictures=limit_areas),
    Family(("internvl",), limit_pictures=limit_tiles),
    Family(("paligemma",), has_chat=False),
)
_ANY_OTHER = Family(())


def family_of(config: PreTrainedConfig) -> Family:
    """The family that a model is of."""
    found = (family for family in FAMILIES if config.model_type in family.model_types)
    return next(found, _ANY_OTHER)
