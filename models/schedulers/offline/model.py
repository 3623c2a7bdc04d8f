"""What past runs taught about an architecture's modules, as it is stored and handed to planners.

Shape letters: D effects of a run's modules, L learned effects, A learned main effects.
"""

import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from rankscope.models.inventory import AdaptableModule, FloatArray, Part
from rankscope.models.schedulers.offline.architecture import Architecture
from rankscope.models.schedulers.performance.effects import (
    LEVEL_SD,
    Effect,
    EffectPrior,
    design_of,
    effects_of,
)

VERSION: Literal[1] = 1
"""Of the form and the meaning of a learned model; another version's is learned again."""

StaticRule = Literal["uniform", "mlp", "attention", "late", "late_mlp"]
"""A rule that needs no learning: ``uniform``, or ``where`` of the static scheduler."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class LearnedEffect(_Frozen):
    """One term of a log utility."""

    kind: Literal["part", "layer", "type", "cell"]
    part: Part
    layer: int | None = None
    type: str | None = None
    mean: float = Field(description="Natural-log units.")
    sd: float = Field(ge=0, description="For a task of another family than those learned from.")


class Interval(_Frozen):
    """A rank correlation with its 95 % bootstrap interval over allocations."""

    spearman: float
    low: float
    high: float


class FamilyValidation(Interval):
    """How well the other families' runs foretell one family's."""

    family: str
    num_runs: int
    num_allocations: int


class Validation(_Frozen):
    """Leave-one-family-out: what was learned from the others against what then happened."""

    families: tuple[FamilyValidation, ...]
    pooled: Interval | None = Field(
        description="Mean over families; None with fewer than two, where nothing can be left out."
    )
    gain: Interval | None = Field(
        description="The same less what utilities in proportion to cost reach, which hold uniform "
        "ranks for the best: what was learned beyond even ranks being better than uneven ones."
    )


class Provenance(_Frozen):
    """Where it comes from."""

    num_runs: int
    runs_sha256: str = Field(description="Of the ids, sorted.")
    train_s: float = Field(description="Seconds of optimizer steps spent in these runs.")
    created_at: datetime
    code_version: str


class OfflineModel(_Frozen):
    """Utilities of an architecture's modules, for tasks of families that were not seen."""

    version: Literal[1] = VERSION
    name: str = Field(min_length=1, max_length=100)
    architecture: Architecture
    families: tuple[str, ...]
    effects: tuple[LearnedEffect, ...] = Field(description="Main effects first, then cells.")
    covariance: tuple[float, ...] = Field(
        description="Of the main effects: the lower triangle, row by row. Cells are independent."
    )
    validation: Validation
    is_useful: bool = Field(
        description="Whether the lower bound of the gain's interval is above zero."
    )
    fallback: StaticRule = Field(
        description="The static rule of best mean rank in the runs, for when it is not useful."
    )
    provenance: Provenance

    @property
    def usefulness(self) -> float:
        """Mean over families of the rank correlation; 0 where it could not be measured."""
        pooled = self.validation.pooled
        return 0.0 if pooled is None else pooled.spearman

    @property
    def sha256(self) -> str:
        """Of all content."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()

    def prior_over(self, modules: Sequence[AdaptableModule]) -> EffectPrior:
        """What is believed about a run's modules before it measures; the level stays open.

        In a model of another depth a layer takes its effects from the learned layers at its
        relative depth, by linear interpolation.

        Raises:
            ValueError: Nothing was learned about one of the modules.
        """
        unknown = self.architecture.stranger(modules)
        if unknown is not None:
            raise ValueError(
                f"the offline model {self.name} must know every module, it knows nothing of "
                f"{unknown}; set offline: none or learn from runs of this architecture"
            )
        effects = effects_of(modules)
        depths = {m.part: max(n.layer for n in modules if n.part == m.part) for m in modules}
        mixing_DL = np.array([self._mixing(effect, depths) for effect in effects])
        mean_D = mixing_DL @ np.array([e.mean for e in self.effects])
        covariance_DD = mixing_DL @ self._joint() @ mixing_DL.T
        covariance_DD[0, 0] = LEVEL_SD**2
        return EffectPrior(tuple(modules), design_of(modules), mean_D, covariance_DD)

    def _joint(self) -> FloatArray:
        """covariance_LL of all learned effects."""
        covariance_LL = np.diag([e.sd**2 for e in self.effects])
        num_main = sum(e.kind != "cell" for e in self.effects)
        main_AA = np.zeros((num_main, num_main))
        main_AA[np.tril_indices(num_main)] = self.covariance
        covariance_LL[:num_main, :num_main] = main_AA + np.tril(main_AA, -1).T
        return covariance_LL

    def _mixing(self, effect: Effect, last_layers: dict[Part, int]) -> FloatArray:
        """weights_L with which the learned effects make up one of a run's."""
        weights_L = np.zeros(len(self.effects))
        if effect.part is None:
            return weights_L
        learned_last = self.architecture.depths[effect.part] - 1
        place = 0.0
        if effect.layer is not None and last_layers[effect.part] > 0:
            place = effect.layer * learned_last / last_layers[effect.part]
        for row, known in enumerate(self.effects):
            if (known.kind, known.part, known.type) != (effect.kind, effect.part, effect.type):
                continue
            near = 1.0 if known.layer is None else max(0.0, 1 - abs(known.layer - place))
            weights_L[row] = near
        return weights_L
