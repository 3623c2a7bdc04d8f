"""HyDRA: ranks by layer and within layers, moved in training by a light performance model.

Shape letters: M modules.
"""

from collections.abc import Sequence
from typing import Literal, Self

import numpy as np
from pydantic import ConfigDict, Field, model_validator
from typing_extensions import override

from rankscope.models.inventory import IntArray
from rankscope.models.schedulers.allocation import (
    costs_of,
    in_order,
    is_feasible,
    multiple_of,
    ranks_of,
    uniform_ranks,
)
from rankscope.models.schedulers.coarse_fine import coarse_fine, moved_params, step_towards
from rankscope.models.schedulers.contract import (
    Apply,
    Decision,
    Keep,
    KnockOut,
    KnockOutResult,
    Measure,
    Memory,
    ModuleState,
    RankPlanner,
    Reason,
    View,
)
from rankscope.models.schedulers.hydra_memory import HydraMemory
from rankscope.models.schedulers.knock_outs import (
    groups_of,
    is_flat,
    not_usable,
)
from rankscope.models.schedulers.learning import Learning
from rankscope.models.schedulers.moves import Move, predicted, rank_weights, reasons_of, told
from rankscope.models.schedulers.performance import PerformanceModelKind
from rankscope.models.schedulers.performance.contract import PerformanceModel
from rankscope.models.schedulers.performance.effects import EffectPrior, Prior
from rankscope.models.schedulers.performance.layers import layer_uncertainty
from rankscope.models.schedulers.places import is_early, language_depth
from rankscope.models.schedulers.realised import (
    Realised,
    event_of,
    realised_effect,
    told_effect,
)

MOVE_PORTIONS = (0.25, 0.5, 1.0)
"""Later candidates: portions of the way that ``max_move_fraction`` allows towards the optimum."""


class Hydra(RankPlanner):
    """Measure which layers and types matter, move rank there in place, later move when sure.

    Step 0: uniform ranks, the early half of the language model at a damped learning rate for the
    whole run. First event: every layer and every module type is knocked out in turn; the posterior
    of the performance model decides coarse layer budgets and the fine split within layers, and
    everything may move. Later events: a few groups are measured again, and a limited move is made
    when its predicted gain is sure; else ranks are kept. After the last event ranks are frozen.

    Cost, in forward passes over ``probe_items``: 1 + layers + types at the first event and 1 +
    ``refresh_groups`` at each later one. On the embedded model (6 layers, 7 types) with the
    defaults: 14 + 4 * 5 = 34 passes over 32 items.

    The method section of HyDRA could not be read (ALGORITHMS.md 1.1). Its abstract gives coarse
    and fine ranks, changes during fine-tuning, a lightweight performance model and no more
    parameters than fixed ranks; all else is ours. The start, the first event and the product of
    layer and type shares are KN of RANK_SPIKE_2.md section 6; correction for damping and pull
    towards MLP ranks follow its section 8; later events and the model's uncertainty are new here.

    Source: Xi, Bing & Yahyapour 2025, arXiv 2512.20674.
    """

    model_config = ConfigDict(title="HyDRA")

    kind: Literal["hydra"] = "hydra"
    early_lr_factor: float = Field(
        0.3,
        gt=0,
        le=1,
        description="Learning-rate factor in the first half of the language model's layers.",
    )
    first_event_fraction: float = Field(
        0.1, gt=0, lt=1, description="Share of the steps before the first re-allocation."
    )
    event_interval_fraction: float = Field(
        0.1, gt=0, lt=1, description="Share of the steps between later decisions."
    )
    freeze_fraction: float = Field(
        0.5, gt=0, lt=1, description="Share of the steps after which ranks are frozen."
    )
    probe_items: int = Field(32, ge=2, le=65536, description="Probe items per forward pass.")
    refresh_groups: int = Field(
        4, ge=1, le=1000, description="Groups measured again at each later decision."
    )
    max_move_fraction: float = Field(
        0.1, gt=0, le=1, description="Share of the budget a later decision may move."
    )
    min_gain_fraction: float = Field(
        0.02, ge=0, le=1, description="Least predicted gain of a later move, of what adapters gain."
    )
    caution_sds: float = Field(
        1.0, ge=0, le=10, description="Standard deviations taken off a later move's predicted gain."
    )
    coarse_floor: float = Field(
        0.0, ge=0, le=1, description="Smallest layer budget, in equal shares."
    )
    coarse_cap: float = Field(
        4.0, ge=1, le=100, description="Largest layer budget, in equal shares."
    )
    layer_pull: float = Field(
        0.25,
        ge=0,
        le=1,
        description="Pull of a wholly unsure layer's budget towards its equal share.",
    )
    layer_prior_sd: float = Field(
        1.5, gt=0, le=10, description="How far layers may differ unmeasured (natural-log units)."
    )
    type_prior_sd: float = Field(
        1.0, gt=0, le=10, description="How far types may differ unmeasured (natural-log units)."
    )
    mlp_prior_ratio: float = Field(
        3.0, gt=0, le=100, description="Utility of an MLP module over another's, unmeasured."
    )
    depth_prior_ratio: float = Field(
        1.0, gt=0, le=100, description="Utility in the last language layer over the first's."
    )
    damping_exponent: float = Field(
        0.5,
        ge=0,
        le=1,
        description="A damped module's knock-out is divided by early_lr_factor to this power.",
    )
    knock_out_log_sd: float = Field(
        0.3, gt=0, le=10, description="What a knock-out's logarithm errs by beyond item noise."
    )
    performance_model: PerformanceModelKind = Field(
        "bayesian_linear", description="What learns how much each module's rank is worth."
    )
    offline: str = Field(
        "auto",
        min_length=1,
        max_length=100,
        title="Learned from past runs",
        description="The offline performance model to begin with: auto (the newest useful one of "
        "this architecture), none, or a model's name.",
    )

    @model_validator(mode="after")
    def _events_come_before_the_freeze(self) -> Self:
        if self.first_event_fraction > self.freeze_fraction:
            raise ValueError(
                f"first_event_fraction must not exceed freeze_fraction={self.freeze_fraction}, "
                f"got {self.first_event_fraction}; lower it"
            )
        return self

    @property
    @override
    def most_probe_items(self) -> int:
        return self.probe_items

    @property
    @override
    def wanted_offline(self) -> str:
        return self.offline

    @override
    def decision_steps(self, num_steps: int) -> tuple[int, ...]:
        window = self.freeze_fraction - self.first_event_fraction
        # The small number keeps 0.5 = 0.1 + 4 * 0.1 an event in spite of binary fractions.
        num_later = int(window / self.event_interval_fraction + 1e-9)
        fractions = [
            self.first_event_fraction + i * self.event_interval_fraction
            for i in range(num_later + 1)
        ]
        return tuple(sorted({0, *(max(1, round(f * num_steps)) for f in fractions)}))

    @override
    def plan(self, view: View, memory: Memory) -> tuple[Decision, Memory]:
        modules = in_order(view.modules)
        if view.step == 0:
            return self._start(modules, view.budget), memory
        remembered = HydraMemory.model_validate(memory)
        results = [r for r in view.measurements if isinstance(r, KnockOutResult)]
        if not results:
            return self._question(modules, view.budget, remembered), memory
        problem = not_usable(results[0])
        if problem is not None:
            return Keep(reason=f"measurement not usable: {problem}"), memory
        decision, remembered = self._answer(view, modules, remembered, results[0])
        return decision, remembered.model_dump(mode="json")

    def _start(self, modules: Sequence[ModuleState], budget: int) -> Apply:
        ranks = uniform_ranks(modules, budget)
        text = "uniform until something is measured"
        return Apply(
            ranks=ranks,
            reasons=dict.fromkeys(ranks, Reason(text=text)),
            lr_factors=self._lr_factors(modules),
            reason=f"{text}; early layers at {self.early_lr_factor} of the learning rate",
        )

    def _lr_factors(self, modules: Sequence[ModuleState]) -> dict[str, float]:
        depth = language_depth(modules)
        return {m.name: self.early_lr_factor if is_early(m, depth) else 1.0 for m in modules}

    def _prior(self) -> Prior:
        return Prior(
            self.layer_prior_sd, self.type_prior_sd, self.mlp_prior_ratio, self.depth_prior_ratio
        )

    def _learning(self, modules: Sequence[ModuleState]) -> Learning:
        visibility = {
            name: factor**self.damping_exponent
            for name, factor in self._lr_factors(modules).items()
        }
        prior = EffectPrior.believed(modules, self._prior())
        return Learning(modules, self.performance_model, prior, visibility, self.knock_out_log_sd)

    def _question(
        self, modules: Sequence[ModuleState], budget: int, remembered: HydraMemory
    ) -> Decision:
        """Every group at the first event; later those that say most about the best move."""
        groups = groups_of(modules)
        if not groups:
            return Keep(reason="no module has a rank that could be knocked out")
        asked = tuple(groups)
        if remembered.model is not None:
            learning = self._learning(modules)
            model = learning.recall(remembered)
            ranks_M = ranks_of(modules)
            direction_M = rank_weights(ranks_M, self._optimum(modules, budget, model))
            if not direction_M.any():
                direction_M = np.log1p(ranks_M)
            asked = learning.most_telling(model, direction_M, self.refresh_groups)
        members = {name: groups[name].modules for name in asked}
        return Measure(requests=(KnockOut(groups=members, num_items=self.probe_items),))

    def _answer(
        self,
        view: View,
        modules: Sequence[ModuleState],
        remembered: HydraMemory,
        result: KnockOutResult,
    ) -> tuple[Decision, HydraMemory]:
        """Learn from the measurement, then move or keep."""
        first = remembered.model is None
        realised = realised_effect(view, modules, remembered.last, result)
        last = event_of(view, result)
        if first and is_flat(result):
            text = "knock-outs are flat: no group's rise is clear of its noise"
            return Keep(reason=text), remembered.model_copy(update={"last": last})
        rises = remembered.rises | result.rise
        model = self._learning(modules).learn(remembered, result, rises, realised)
        decision = self._decision(view, modules, model, realised, first=first)
        if isinstance(decision, Apply):
            last = last.model_copy(update={"ranks_before": {m.name: m.rank for m in modules}})
        return decision, HydraMemory(model=model.state(), rises=rises, last=last)

    def _optimum(
        self, modules: Sequence[ModuleState], budget: int, model: PerformanceModel
    ) -> IntArray:
        unsure = layer_uncertainty(model, self._learning(modules).unmeasured())
        pull = {layer: self.layer_pull * share for layer, share in unsure.items()}
        bounds = (self.coarse_floor, self.coarse_cap)
        return coarse_fine(modules, model.utilities, budget, pull, bounds)

    def _candidates(
        self, modules: Sequence[ModuleState], budget: int, model: PerformanceModel, *, free: bool
    ) -> list[Move]:
        """The optimum where moves are free, else steps towards it; only what changes a rank."""
        ranks_M, costs_M = ranks_of(modules), costs_of(modules)
        target_M = self._optimum(modules, budget, model)
        limit = min(moved_params(costs_M, ranks_M, target_M), self.max_move_fraction * budget)
        goals = [target_M]
        if not free:
            goals = [
                step_towards(
                    ranks_M,
                    target_M,
                    utilities_M=model.utilities,
                    costs_M=costs_M,
                    budget=budget,
                    limit_params=portion * limit,
                    multiple=multiple_of(modules),
                )
                for portion in MOVE_PORTIONS
            ]
        return [predicted(model, ranks_M, goal_M) for goal_M in goals if np.any(goal_M != ranks_M)]

    def _decision(
        self,
        view: View,
        modules: Sequence[ModuleState],
        model: PerformanceModel,
        realised: Realised | None,
        *,
        first: bool,
    ) -> Apply | Keep:
        must_move = not is_feasible(modules, view.budget)
        candidates = self._candidates(modules, view.budget, model, free=first or must_move)
        realised_gain = None if realised is None else realised.beyond_training
        if not candidates:
            text = f"no allowed step improves on the present ranks{told_effect(realised)}"
            return Keep(reason=text, realised_gain=realised_gain)
        best = max(candidates, key=lambda m: m.gain.mean - self.caution_sds * m.gain.sd)
        threshold = 0.0
        if not first:
            total = model.predict(np.log1p(ranks_of(modules)))
            threshold = self.min_gain_fraction * total.mean + self.caution_sds * best.gain.sd
        text = f"{told(modules, best, model)}; predicted {best.gain.mean:.4f} nats"
        text += f" (sd {best.gain.sd:.4f}, needed more than {threshold:.4f}){told_effect(realised)}"
        figures = {
            "predicted_gain": best.gain.mean,
            "predicted_gain_sd": best.gain.sd,
            "threshold": threshold,
            "realised_gain": realised_gain,
        }
        if not must_move and best.gain.mean <= threshold:
            return Keep(reason=f"not sure enough to move {text}", **figures)
        changed = {
            m.name: int(new) for m, new in zip(modules, best.ranks_M, strict=True) if new != m.rank
        }
        return Apply(
            ranks=changed,
            reasons=reasons_of(modules, best, model),
            reason=f"moved {text}",
            **figures,
        )
