"""Performance models that keep what they were told and learn it anew at every update."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Self

from pydantic import JsonValue
from typing_extensions import override

from rankscope.models.inventory import AdaptableModule
from rankscope.models.schedulers.performance.contract import Observation, PerformanceModel
from rankscope.models.schedulers.performance.effects import EffectPrior
from rankscope.models.schedulers.performance.kept import Kept


@dataclass(frozen=True)
class KeepingModel(PerformanceModel):
    """A prior and what was observed since; a subclass says in ``belief`` what follows from both."""

    prior: EffectPrior
    kept: Kept

    @override
    @classmethod
    def from_prior(cls, prior: EffectPrior) -> Self:
        return cls(prior, Kept())

    @override
    @classmethod
    def from_state(cls, prior: EffectPrior, state: Mapping[str, JsonValue]) -> Self:
        return cls(prior, Kept.from_state(state, len(prior.modules)))

    @override
    def state(self) -> dict[str, JsonValue]:
        return self.kept.state(len(self.modules))

    @property
    @override
    def modules(self) -> tuple[AdaptableModule, ...]:
        return self.prior.modules

    @override
    def update(self, observations: Sequence[Observation]) -> Self:
        if not observations:
            return self
        held = [replace(one, value=self.tempered(one)) for one in observations]
        return replace(self, kept=self.kept.with_new(held))

    @override
    def forget(self, kept_precision: float) -> Self:
        return replace(self, kept=self.kept.aged(kept_precision))
