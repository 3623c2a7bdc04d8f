"""Asks a planner at its steps and makes its decisions real: the only place where ranks change."""

import time
from collections.abc import Callable, Mapping, Sequence

import torch

from rankscope.models.config import LoraSettings
from rankscope.models.events import Decided, Event, Measured, ParamsSampled, RanksChanged
from rankscope.models.lora.elastic import ElasticLora
from rankscope.models.lora.saliency import SaliencyTracker
from rankscope.models.schedulers.contract import (
    MAX_MEASURE_ROUNDS,
    Apply,
    Keep,
    Measure,
    Memory,
    ModuleState,
    RankPlanner,
    View,
)
from rankscope.tasks.measuring import Measurer
from rankscope.tasks.planning import highest_rank

SALIENCY_DECAY = 0.9
"""Of the running saliency that planners see: a memory of about ten steps."""

Emit = Callable[[Event], None]


class PlannerError(RuntimeError):
    """A planner broke its contract; the message says rule, value and remedy."""


class Steering:
    """One run's planner, its memory, and the adapters it steers."""

    def __init__(
        self,
        planner: RankPlanner,
        elastic: ElasticLora,
        measurer: Measurer,
        settings: LoraSettings,
        *,
        budget: int,
        num_steps: int,
        seed: int,
        emit: Emit,
    ) -> None:
        self.memory: Memory = {}
        self.num_samples = 1  # sample 0 is taken before the first decision
        self.lr_factors: dict[str, float] = {}
        self.saliency = (
            SaliencyTracker(elastic, SALIENCY_DECAY) if "saliency" in planner.needs else None
        )
        self._planner = planner
        self._elastic = elastic
        self._measurer = measurer
        self._settings = settings
        self._budget = budget
        self._num_steps = num_steps
        self._seed = seed
        self._emit = emit
        self._steps = frozenset(planner.decision_steps(num_steps))

    def is_due(self, step: int) -> bool:
        """Whether the planner decides at ``step``."""
        return step in self._steps

    def decide(
        self, step: int, train_loss: float | None, optimizer: torch.optim.Optimizer | None
    ) -> None:
        """Let the planner decide at ``step`` and apply what it says.

        Raises:
            PlannerError: The decision breaks the budget or a bound, names an unknown module, or
                never comes.
        """
        view = self._view(step, train_loss)
        decision: Keep | Apply | Measure
        for _ in range(MAX_MEASURE_ROUNDS):
            decision, self.memory = self._planner.plan(view, self.memory)
            if not isinstance(decision, Measure):
                break
            answer = self._measurer.answer(decision)
            self._emit(
                Measured(
                    step=step,
                    time=time.time(),
                    request=decision,
                    results=answer.results,
                    cost_s=answer.cost_s,
                    cost_items=answer.cost_items,
                )
            )
            view = view.model_copy(update={"measurements": (*view.measurements, *answer.results)})
        else:
            raise PlannerError(
                f"a planner must decide after at most {MAX_MEASURE_ROUNDS} measurements, "
                f"{self._planner.kind} asked for more at step {step}; mend its plan()"
            )
        if isinstance(decision, Apply):
            self._check(view, decision)
        self._emit(Decided(step=step, time=time.time(), view=view, decision=decision))
        if isinstance(decision, Keep):
            return
        self._apply(step, decision, optimizer)
        if decision.lr_factors is not None:
            self.lr_factors = dict(decision.lr_factors)

    def _view(self, step: int, train_loss: float | None) -> View:
        ranks = self._elastic.ranks()
        saliency = self.saliency.values() if self.saliency else {}
        modules = tuple(
            ModuleState(
                **module.model_dump(),
                rank=ranks[module.name],
                min_rank=self._settings.min_rank,
                max_rank=highest_rank(module, self._settings),
                pinned=False,
                saliency=saliency.get(module.name),
            )
            for module in self._elastic.inventory.modules
        )
        return View(
            step=step,
            num_steps=self._num_steps,
            budget=self._budget,
            seed=self._seed,
            modules=modules,
            train_loss=train_loss,
        )

    def _check(self, view: View, decision: Apply) -> None:
        states = {module.name: module for module in view.modules}
        who = f"{self._planner.kind} at step {view.step}"
        unknown = sorted(
            (decision.ranks.keys() | (decision.lr_factors or {}).keys()) - states.keys()
        )
        if unknown:
            raise PlannerError(f"a planner may name known modules only, {who} named {unknown[0]}")
        for name, rank in decision.ranks.items():
            state = states[name]
            if not state.min_rank <= rank <= state.max_rank or (
                state.pinned and rank != state.rank
            ):
                raise PlannerError(
                    f"the rank of {name} must lie in {state.min_rank}..{state.max_rank}, "
                    f"{who} gave {rank}"
                )
        ranks = self._elastic.ranks() | decision.ranks
        params = self._elastic.inventory.params(ranks)
        if params > self._budget:
            raise PlannerError(
                f"adapters must stay within {self._budget:,} parameters, {who} planned {params:,}"
            )

    def _apply(self, step: int, decision: Apply, optimizer: torch.optim.Optimizer | None) -> None:
        before = self._elastic.ranks()
        after = before | decision.ranks
        changed = {name: rank for name, rank in after.items() if rank != before[name]}
        if not changed:
            return
        report = self._elastic.resize(after, budget=self._budget, optimizer=optimizer)
        if self.saliency:
            self.saliency.follow(report)
        self._emit_samples(step, report.samples)
        cost = {module.name: module.cost for module in self._elastic.inventory.modules}
        moved = sum(cost[name] * abs(rank - before[name]) for name, rank in changed.items()) // 2
        cause = "start" if step == 0 else "scheduler"
        self._emit_ranks(step, changed, cause, moved_params=moved)

    def _emit_ranks(
        self, step: int, ranks: Mapping[str, int], cause: str, *, moved_params: int
    ) -> None:
        self._emit(
            RanksChanged.model_validate(
                {
                    "step": step,
                    "time": time.time(),
                    "ranks": dict(ranks),
                    "cause": cause,
                    "moved_params": moved_params,
                    "live_params": self._elastic.live_params(),
                }
            )
        )

    def _emit_samples(self, step: int, samples: Sequence[int]) -> None:
        for live_params in samples:
            self._emit(
                ParamsSampled(
                    step=step, time=time.time(), live_params=live_params, sample=self.num_samples
                )
            )
            self.num_samples += 1
