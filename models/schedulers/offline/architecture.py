"""Which models share what is learned: the linears by their places and shapes, and how many layers.

Two inventories are of one architecture when their linears agree in name, place and shape. They are
kin when names differ in nothing but numbers: more or fewer layers, wider or narrower ones.
"""

import hashlib
import json
import re
from collections.abc import Sequence
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from rankscope.models.inventory import AdaptableModule, Part

Kinship = Literal["same", "kin", "other"]


class Architecture(BaseModel):
    """The linears that something was learned about."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: str = Field(description="Short hash of every linear's name, place and shape.")
    depths: dict[Part, int] = Field(description="Layers per part.")
    shapes: dict[str, tuple[int, int]] = Field(
        description="(d_in, d_out) by the module's path with * for numbers."
    )

    @classmethod
    def of(cls, modules: Sequence[AdaptableModule]) -> Self:
        """That of an inventory's modules, in whatever order."""
        listed = sorted((m.name, m.part, m.layer, m.type, m.d_in, m.d_out) for m in modules)
        key = hashlib.sha256(json.dumps(listed).encode()).hexdigest()[:12]
        shapes = {_path(m): (m.d_in, m.d_out) for m in sorted(modules, key=lambda m: m.name)}
        return cls(key=key, depths=_depths(modules), shapes=shapes)

    def kinship(self, modules: Sequence[AdaptableModule]) -> Kinship:
        """How a run's modules, which may be a part of this model's, relate to it."""
        if self.stranger(modules) is not None:
            return "other"
        shapes_agree = all(self.shapes[_path(m)] == (m.d_in, m.d_out) for m in modules)
        depths_agree = all(self.depths[part] == depth for part, depth in _depths(modules).items())
        return "same" if shapes_agree and depths_agree else "kin"

    def stranger(self, modules: Sequence[AdaptableModule]) -> str | None:
        """The path of a module that nothing was learned about, or None."""
        unknown = (m.name for m in modules if _path(m) not in self.shapes)
        return next(unknown, None)


def _path(module: AdaptableModule) -> str:
    return re.sub(r"\d+", "*", module.name.removesuffix(module.type)) + module.type


def _depths(modules: Sequence[AdaptableModule]) -> dict[Part, int]:
    depths: dict[Part, int] = {}
    for m in sorted(modules, key=lambda m: m.part):
        depths[m.part] = max(depths.get(m.part, 0), m.layer + 1)
    return depths
