"""From hydra's memory and new measurements to its performance model.

Shape letters: M modules.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rankscope.models.inventory import FloatArray
from rankscope.models.schedulers.contract import KnockOutResult, ModuleState
from rankscope.models.schedulers.hydra_memory import HydraMemory
from rankscope.models.schedulers.knock_outs import group_weights, groups_of, observations_of
from rankscope.models.schedulers.performance_model import (
    BayesianLinearModel,
    Observation,
    Prior,
)
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
    prior: Prior
    visibility: Mapping[str, float]
    log_sd: float

    def recall(self, remembered: HydraMemory) -> BayesianLinearModel:
        """The model as it was left, or the prior."""
        if remembered.posterior is None:
            return BayesianLinearModel.from_prior(self.modules, self.prior)
        posterior = remembered.posterior
        return BayesianLinearModel.from_state(self.modules, posterior.mean, posterior.triangle)

    def most_telling(
        self, model: BayesianLinearModel, direction_M: FloatArray, count: int
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
    ) -> BayesianLinearModel:
        """The model after the last move's effect, forgetting, and the knock-outs, in that order.

        Knock-outs come last because they fix the level, which the realised effect can only blur.
        """
        model = self.recall(remembered)
        if realised is not None and realised.observation is not None:
            model = model.update([realised.observation])
        if remembered.posterior is not None:
            model = model.forget(KEPT_PRECISION)
        groups = groups_of(self.modules)
        return model.update(observations_of(result, groups, rises, self._weights(), self.log_sd))

    def _weights(self) -> dict[str, FloatArray]:
        return {
            name: group_weights(group, self.modules, self.visibility)
            for name, group in groups_of(self.modules).items()
        }
