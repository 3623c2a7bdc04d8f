"""From hydra's memory and new measurements to its performance model.

Shape letters: M modules.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rankscope.models.inventory import FloatArray
from rankscope.models.schedulers.contract import KnockOutResult, ModuleState
from rankscope.models.schedulers.hydra_memory import HydraMemory
from rankscope.models.schedulers.knock_outs import group_weights, groups_of, observations_of
from rankscope.models.schedulers.performance import PERFORMANCE_MODELS, PerformanceModelKind
from rankscope.models.schedulers.performance.contract import Observation, PerformanceModel
from rankscope.models.schedulers.performance.effects import EffectPrior
from rankscope.models.schedulers.realised import Realised

KEPT_PRECISION = 0.97
"""Share of the model's precision kept per decision (forgetting of ALGORITHMS.md 4.4)."""


@dataclass(frozen=True)
class Learning:
    """What stays the same while a run's model learns.

    ``visibility`` is how much of each module's worth its knock-out shows; ``log_sd`` what a
    knock-out's logarithm errs by beyond item noise.
    """

    modules: Sequence[ModuleState]
    kind: PerformanceModelKind
    prior: EffectPrior
    visibility: Mapping[str, float]
    log_sd: float

    def unmeasured(self) -> PerformanceModel:
        """The model before the run measured anything."""
        return PERFORMANCE_MODELS[self.kind].from_prior(self.prior)

    def recall(self, remembered: HydraMemory) -> PerformanceModel:
        """The model as it was left, or unmeasured."""
        if remembered.model is None:
            return self.unmeasured()
        return PERFORMANCE_MODELS[self.kind].from_state(self.prior, remembered.model)

    def most_telling(
        self, model: PerformanceModel, direction_M: FloatArray, count: int
    ) -> tuple[str, ...]:
        """Names of the groups whose knock-outs say most about a move in ``direction_M``."""
        candidates = {
            name: Observation(weights_M, 0.0, self.log_sd, "log")
            for name, weights_M in self._weights().items()
        }
        return model.most_telling(candidates, direction_M, count)

    def learn(
        self,
        remembered: HydraMemory,
        result: KnockOutResult,
        rises: Mapping[str, float],
        realised: Realised | None,
    ) -> PerformanceModel:
        """The model after the last move's effect, forgetting, and the knock-outs, in that order.

        Knock-outs come last because they fix the level, which the realised effect can only blur.
        """
        model = self.recall(remembered)
        if realised is not None and realised.observation is not None:
            model = model.update([realised.observation])
        if remembered.model is not None:
            model = model.forget(KEPT_PRECISION)
        groups = groups_of(self.modules)
        return model.update(observations_of(result, groups, rises, self._weights(), self.log_sd))

    def _weights(self) -> dict[str, FloatArray]:
        return {
            name: group_weights(group, self.modules, self.visibility)
            for name, group in groups_of(self.modules).items()
        }
