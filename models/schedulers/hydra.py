"""HyDRA: ranks by layer and within layers, moved in training by a light performance model.

Shape letters: M modules.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from pydantic import ConfigDict
from typing_extensions import override

from rankscope.models.inventory import IntArray
from rankscope.models.schedulers.allocation import (
    costs_of,
    in_order,
    is_feasible,
    multiple_of,
    ranks_of,
)
from rankscope.models.schedulers.coarse_fine import (
    coarse_fine,
    levelled,
    moved_params,
    step_towards,
)
from rankscope.models.schedulers.contract import (
    Apply,
    Decision,
    Keep,
    KnockOut,
    KnockOutResult,
    Measure,
    Memory,
    ModuleState,
    Reason,
    View,
)
from rankscope.models.schedulers.hydra_memory import HydraMemory
from rankscope.models.schedulers.hydra_settings import HydraSettings
from rankscope.models.schedulers.hydra_start import (
    is_taught,
    prior_of,
    taught_start,
    untaught_start,
)
from rankscope.models.schedulers.knock_outs import (
    groups_of,
    is_flat,
    not_usable,
)
from rankscope.models.schedulers.learning import Learning
from rankscope.models.schedulers.moves import Move, predicted, rank_weights, reasons_of, told
from rankscope.models.schedulers.performance.contract import PerformanceModel
from rankscope.models.schedulers.performance.effects import Prior
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


class Hydra(HydraSettings):
    """Begin with what past runs taught, measure which groups matter, move rank when sure.

    Step 0: where past runs taught something of measured use (``offline``), the best ranks by them;
    else the static rule that was best in past runs, or uniform ranks. Events follow until half of
    the run: some groups (parts, layers, module types) are knocked out in turn, those that say
    most. At a first event without a teacher everything may move; later a limited move is made when
    its predicted gain is sure. The performance model turns all that is known into coarse layer
    budgets and the fine split within layers.

    ``coarse``, ``fine`` and ``dynamic`` switch its three levels off: equal layer budgets, equal
    ranks within a layer, ranks allocated once.

    Cost, in forward passes over ``probe_items``: 1 + ``first_groups`` at a first event that nobody
    taught for, 1 + ``refresh_groups`` at every other. On the embedded model's language and vision
    linears with the defaults: 18 passes over 32 items, 10 after past runs of use.

    The method section of HyDRA could not be read (ALGORITHMS.md 1.1). Its abstract gives coarse
    and fine ranks, changes during fine-tuning, a lightweight performance model and no more
    parameters than fixed ranks; all else is ours. KN of RANK_SPIKE_2.md section 6 is what the
    first event without a teacher grew from; what was tried and did not pay is in docs/results.md.

    Source: Xi, Bing & Yahyapour 2025, arXiv 2512.20674.
    """

    model_config = ConfigDict(title="HyDRA")

    kind: Literal["hydra"] = "hydra"

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
        # The small number keeps 0.5 = 0.2 + 3 * 0.1 an event in spite of binary fractions.
        num_later = int(window / self.event_interval_fraction + 1e-9) if self.dynamic else 0
        fractions = [
            self.first_event_fraction + i * self.event_interval_fraction
            for i in range(num_later + 1)
        ]
        return tuple(sorted({0, *(max(1, round(f * num_steps)) for f in fractions)}))

    @override
    def plan(self, view: View, memory: Memory) -> tuple[Decision, Memory]:
        view = view.model_copy(update={"modules": in_order(view.modules)})
        if view.step == 0:
            return self._start(view), memory
        if is_taught(view) and not self.dynamic:
            return Keep(reason="ranks stay as past runs taught them: dynamic is off"), memory
        remembered = HydraMemory.model_validate(memory)
        results = [r for r in view.measurements if isinstance(r, KnockOutResult)]
        if not results:
            return self._question(view, remembered), memory
        problem = not_usable(results[0])
        if problem is not None:
            return Keep(reason=f"measurement not usable: {problem}"), memory
        decision, remembered = self._answer(view, remembered, results[0])
        return decision, remembered.model_dump(mode="json")

    def _start(self, view: View) -> Apply:
        if is_taught(view):
            ranks_M = self._optimum(view, self._learning(view).unmeasured())
            start = taught_start(view, ranks_M)
        else:
            start = untaught_start(view)
        reason = start.reason
        if self.early_lr_factor != 1.0:
            reason += f"; early layers at {self.early_lr_factor} of the learning rate"
        return Apply(
            ranks=start.ranks,
            reasons=dict.fromkeys(start.ranks, Reason(text=start.reason)),
            lr_factors=self._lr_factors(view.modules),
            reason=reason,
        )

    def _lr_factors(self, modules: Sequence[ModuleState]) -> dict[str, float]:
        depth = language_depth(modules)
        return {m.name: self.early_lr_factor if is_early(m, depth) else 1.0 for m in modules}

    def _learning(self, view: View) -> Learning:
        visibility = {
            name: factor**self.damping_exponent
            for name, factor in self._lr_factors(view.modules).items()
        }
        by_hand = Prior(
            self.layer_prior_sd,
            self.type_prior_sd,
            self.mlp_prior_ratio,
            self.depth_prior_ratio,
            self.part_prior_sd,
        )
        prior = prior_of(view, by_hand)
        return Learning(
            view.modules, self.performance_model, prior, visibility, self.knock_out_log_sd
        )

    def _question(self, view: View, remembered: HydraMemory) -> Decision:
        """The groups that say most: about the best move, or of all ranks where none is known."""
        groups = groups_of(view.modules)
        if not groups:
            return Keep(reason="no module has a rank that could be knocked out")
        learning = self._learning(view)
        model = learning.recall(remembered)
        ranks_M = ranks_of(view.modules)
        is_first = remembered.model is None and not is_taught(view)
        direction_M = rank_weights(ranks_M, self._optimum(view, model))
        if is_first or not direction_M.any():
            direction_M = np.log1p(ranks_M)
        count = self.first_groups if is_first else self.refresh_groups
        asked = learning.most_telling(model, direction_M, count)
        members = {name: groups[name].modules for name in asked}
        return Measure(requests=(KnockOut(groups=members, num_items=self.probe_items),))

    def _answer(
        self, view: View, remembered: HydraMemory, result: KnockOutResult
    ) -> tuple[Decision, HydraMemory]:
        """Learn from the measurement, then move or keep."""
        is_free = remembered.model is None and not is_taught(view)
        realised = realised_effect(view, view.modules, remembered.last, result)
        last = event_of(view, result)
        if remembered.model is None and is_flat(result):
            text = "knock-outs are flat: no group's rise is clear of its noise"
            return Keep(reason=text), remembered.model_copy(update={"last": last})
        rises = remembered.rises | result.rise
        model = self._learning(view).learn(remembered, result, rises, realised)
        decision = self._decision(view, model, realised, is_free=is_free)
        if isinstance(decision, Apply):
            ranks = {m.name: m.rank for m in view.modules}
            last = last.model_copy(update={"ranks_before": ranks})
        return decision, HydraMemory(model=model.state(), rises=rises, last=last)

    def _optimum(self, view: View, model: PerformanceModel) -> IntArray:
        modules = view.modules
        unsure = layer_uncertainty(model, self._learning(view).unmeasured())
        pull = {
            layer: self.layer_pull * share if self.coarse else 1.0
            for layer, share in unsure.items()
        }
        bounds = (self.coarse_floor, self.coarse_cap)
        utilities_M = levelled(modules, model.utilities, coarse=self.coarse, fine=self.fine)
        return coarse_fine(modules, utilities_M, view.budget, pull, bounds)

    def _candidates(self, view: View, model: PerformanceModel, *, is_free: bool) -> list[Move]:
        """The optimum where moves are free, else steps towards it; only what changes a rank."""
        modules = view.modules
        ranks_M, costs_M = ranks_of(modules), costs_of(modules)
        target_M = self._optimum(view, model)
        limit = min(moved_params(costs_M, ranks_M, target_M), self.max_move_fraction * view.budget)
        goals = [target_M]
        if not is_free:
            goals = [
                step_towards(
                    ranks_M,
                    target_M,
                    utilities_M=model.utilities,
                    costs_M=costs_M,
                    budget=view.budget,
                    limit_params=portion * limit,
                    multiple=multiple_of(modules),
                )
                for portion in MOVE_PORTIONS
            ]
        return [predicted(model, ranks_M, goal_M) for goal_M in goals if np.any(goal_M != ranks_M)]

    def _decision(
        self, view: View, model: PerformanceModel, realised: Realised | None, *, is_free: bool
    ) -> Apply | Keep:
        modules = view.modules
        must_move = not is_feasible(modules, view.budget)
        candidates = self._candidates(view, model, is_free=is_free or must_move)
        realised_gain = None if realised is None else realised.beyond_training
        if not candidates:
            text = f"no allowed step improves on the present ranks{told_effect(realised)}"
            return Keep(reason=text, realised_gain=realised_gain)
        best = max(candidates, key=lambda m: m.gain.mean - self.caution_sds * m.gain.sd)
        threshold = 0.0
        if not is_free:
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
