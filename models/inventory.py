"""What can be adapted: every linear module of a model with its place, its shape and its price."""

import re
from typing import Literal

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from rankscope.models.cost.sizes import ModelSizes

Part = Literal["vision", "projector", "language"]
PARTS: tuple[Part, ...] = ("vision", "projector", "language")

_MAX_NAMES_SHOWN = 8
_VISION = frozenset({"vision_tower", "vision_model", "visual"})
_PROJECTOR = frozenset({"projector", "multi_modal_projector", "mm_projector", "connector"})
_MERGER = frozenset({"merger", "deepstack_merger_list"})
"""Qwen's projectors, which lie inside its tower."""
_LAYER = re.compile(r"(?:^|\.)(?:layers|blocks|h|encoder\.layer)\.(\d+)(?:\.|$)")

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


class AdaptableModule(BaseModel):
    """One linear module that an adapter can sit on.

    ``name`` is the module's full path in the base model, ``layer`` its index within ``part`` (0
    nearest the input) and ``type`` its role within the layer, for instance ``q_proj``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    part: Part
    layer: int = Field(ge=0)
    type: str
    d_in: int = Field(ge=1)
    d_out: int = Field(ge=1)

    @property
    def cost(self) -> int:
        """Trainable parameters of one unit of rank: a row of A and a column of B."""
        return self.d_in + self.d_out


class Inventory(BaseModel):
    """The adaptable modules of one model under one target pattern, in model order."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    modules: tuple[AdaptableModule, ...]
    total_params: int = Field(
        ge=1, description="Parameters of the whole base model, frozen ones included."
    )

    @property
    def params_per_rank(self) -> int:
        """Trainable parameters of rank 1 on every module."""
        return sum(module.cost for module in self.modules)

    def params(self, ranks: dict[str, int]) -> int:
        """Trainable parameters of adapters at the given ranks; modules left out count as rank 0."""
        return sum(module.cost * ranks.get(module.name, 0) for module in self.modules)


class Linears(BaseModel):
    """Every linear module of a model outside heads and embeddings, in model order."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    modules: tuple[AdaptableModule, ...]
    params_by_part: dict[Part, int] = Field(description="All parameters of each part.")
    sizes: ModelSizes | None = Field(
        None, description="What its cost depends on besides; None where only the modules are known."
    )

    @property
    def total_params(self) -> int:
        """Parameters of the whole base model."""
        return sum(self.params_by_part.values())

    def select(self, targets: str, parts: frozenset[Part]) -> Inventory:
        """The modules that a run adapts.

        Args:
            targets: Regular expression that must match the whole last component of a module's path,
                for instance ``q_proj|v_proj``.
            parts: The parts of the model to look in; none selects no module.

        Raises:
            ValueError: If ``targets`` is no regular expression or matches nothing in ``parts``.
        """
        try:
            pattern = re.compile(targets)
        except re.error as error:
            raise ValueError(
                f"targets must be a regular expression, got {targets!r} ({error}); "
                "write for instance 'q_proj|v_proj'"
            ) from error
        candidates = [module for module in self.modules if module.part in parts]
        chosen = tuple(module for module in candidates if pattern.fullmatch(module.type))
        if parts and not chosen:
            types = list(dict.fromkeys(module.type for module in candidates))
            shown = ", ".join(types[:_MAX_NAMES_SHOWN]) or "none"
            more = len(types) - _MAX_NAMES_SHOWN
            rest = f" and {more} more" if more > 0 else ""
            raise ValueError(
                "targets must match the last path component of at least one linear module in the "
                f"parts {sorted(parts)}, got {targets!r}; available there: {shown}{rest}"
            )
        return Inventory(modules=chosen, total_params=self.total_params)


def layer_path(name: str) -> str | None:
    """Path of the layer that a module belongs to; None outside a stack of layers."""
    found = _LAYER.search(name)
    return name[: found.end(1)] if found else None


def place_of(name: str) -> tuple[Part, int | None]:
    """Part and layer that a module's path tells; no layer outside a stack of layers.

    The outermost telling component decides on the part; a merger within a tower is its projector.
    """
    found = _LAYER.search(name)
    layer = int(found.group(1)) if found else None
    components = name.split(".")
    for component in components:
        if component in _VISION:
            return ("vision" if _MERGER.isdisjoint(components) else "projector"), layer
        if component in _PROJECTOR:
            return "projector", layer
    return "language", layer
