"""Asks a planner at its steps and makes its decisions real: the only place where ranks change."""

import copy
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import torch
from pydantic import TypeAdapter

from rankscope.models.config import LoraSettings
from rankscope.models.events import (
    Decided,
    Event,
    Failed,
    LogLine,
    Measured,
    ParamsSampled,
    RanksChanged,
)
from rankscope.models.lora.elastic import ElasticLora
from rankscope.models.lora.saliency import SaliencyTracker
from rankscope.models.lora.spectra import singular_values
from rankscope.models.rank_bounds import initial_states
from rankscope.models.schedulers.checked import PlannerError, checked
from rankscope.models.schedulers.contract import (
    MAX_MEASURE_ROUNDS,
    Apply,
    Keep,
    Measure,
    Memory,
    RankPlanner,
    View,
)
from rankscope.models.schedulers.offline.model import OfflineModel
from rankscope.tasks.measuring import ItemMeasurer
from rankscope.tasks.process_group import ALONE, ProcessGroup, trained_and_moments

SALIENCY_DECAY = 0.9
"""Of the running saliency that planners see: a memory of about ten steps."""

Emit = Callable[[Event], None]
_DECISION: TypeAdapter[Keep | Apply | Failed] = TypeAdapter(Keep | Apply | Failed)


class Steering:
    """One run's planner, its memory, and the adapters it steers.

    Training never dies of its planner: when ``plan`` raises, breaks its contract or asks for what
    cannot be measured, the ranks stay as they are, ``failure`` says why, and it is not asked again.

    Raises:
        ValueError: The planner's settings cannot work with this model, budget and data.
    """

    def __init__(
        self,
        planner: RankPlanner,
        elastic: ElasticLora,
        measurer: ItemMeasurer,
        settings: LoraSettings,
        *,
        budget: int,
        num_steps: int,
        seed: int,
        emit: Emit,
        offline: OfflineModel | None = None,
        group: ProcessGroup = ALONE,
    ) -> None:
        self.memory: Memory = {}
        self.failure: str | None = None
        self.num_samples = 1  # sample 0 is taken before the first decision
        self.lr_factors: dict[str, float] = {}
        self.saliency = (
            SaliencyTracker(elastic, SALIENCY_DECAY) if "saliency" in planner.needs else None
        )
        self._planner = planner
        self._elastic = elastic
        self._measurer = measurer
        self._states = initial_states(elastic.inventory, settings)
        self._budget = budget
        self._num_steps = num_steps
        self._seed = seed
        self._emit = emit
        self._group = group
        self._offline = offline
        self._steps = frozenset(planner.decision_steps(num_steps))
        planner.check(self._view(0, None))

    def is_due(self, step: int) -> bool:
        """Whether the planner decides at ``step``; never again after it failed."""
        return self.failure is None and step in self._steps

    def decide(
        self, step: int, train_loss: float | None, optimizer: torch.optim.Optimizer | None
    ) -> None:
        """Let the planner decide at ``step``, unless it failed before, and apply what it says."""
        if self.failure is not None:
            return
        decision = self._group.from_first(partial(self._decision, step, train_loss), _DECISION)
        if isinstance(decision, Failed):
            self.failure = decision.reason
        if not isinstance(decision, Apply):
            return
        self._apply(step, decision, optimizer)
        if decision.lr_factors is not None:
            self.lr_factors = dict(decision.lr_factors)

    def _decision(self, step: int, train_loss: float | None) -> Keep | Apply | Failed:
        view, decision = self._ask(self._view(step, train_loss))
        self._emit(Decided(step=step, time=time.time(), view=view, decision=decision))
        return decision

    def _ask(self, view: View) -> tuple[View, Keep | Apply | Failed]:
        """The planner's decision, and the view with all that was measured for it."""
        try:
            view = self._with_statistics(view)
        except Exception as error:  # noqa: BLE001 - whatever it is, the planner can go without
            return view, self._failed(view.step, error)
        for _ in range(MAX_MEASURE_ROUNDS):
            try:
                answer = self._planner.plan(view, copy.deepcopy(self.memory))
                decision, memory = checked(self._planner, view, answer)
                if not isinstance(decision, Measure):
                    self.memory = memory
                    return view, decision
                measured = self._measurer.answer(decision)
            except Exception as error:  # noqa: BLE001 - a planner may fail in any way
                return view, self._failed(view.step, error)
            self.memory = memory
            self._emit(
                Measured(
                    step=view.step,
                    time=time.time(),
                    request=decision,
                    results=measured.results,
                    cost_s=measured.cost_s,
                    cost_items=measured.cost_items,
                )
            )
            results = (*view.measurements, *measured.results)
            view = view.model_copy(update={"measurements": results})
        endless = PlannerError(
            f"a planner must decide after at most {MAX_MEASURE_ROUNDS} measurements, "
            f"{self._planner.kind} asked for more at step {view.step}; mend its plan()"
        )
        return view, self._failed(view.step, endless)

    def _failed(self, step: int, error: Exception) -> Failed:
        """Why, in one line; where it happened goes to the run's log."""
        trace = "".join(traceback.format_exception(error))
        self._emit(LogLine(step=step, time=time.time(), level="error", text=trace))
        text = " ".join(str(error).split())
        kind = "" if isinstance(error, PlannerError) else f"{type(error).__name__}: "
        return Failed(reason=f"{kind}{text}".rstrip(": "))

    def _view(self, step: int, train_loss: float | None) -> View:
        ranks = self._elastic.ranks()
        return View(
            step=step,
            num_steps=self._num_steps,
            budget=self._budget,
            seed=self._seed,
            modules=tuple(s.model_copy(update={"rank": ranks[s.name]}) for s in self._states),
            train_loss=train_loss,
            offline=self._offline,
        )

    def _with_statistics(self, view: View) -> View:
        saliency = self.saliency.values() if self.saliency else {}
        needs_spectra = "singular_values" in self._planner.needs
        spectra = singular_values(self._elastic) if needs_spectra else {}
        modules = tuple(
            module.model_copy(
                update={
                    "saliency": saliency.get(module.name),
                    "singular_values": spectra.get(module.name),
                }
            )
            for module in view.modules
        )
        return view.model_copy(update={"modules": modules})

    def _apply(self, step: int, decision: Apply, optimizer: torch.optim.Optimizer | None) -> None:
        before = self._elastic.ranks()
        after = before | decision.ranks
        changed = {name: rank for name, rank in after.items() if rank != before[name]}
        if not changed:
            return
        report = self._elastic.resize(after, budget=self._budget, optimizer=optimizer)
        self._group.copy_from_first(trained_and_moments(self._elastic.peft_model, optimizer))
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
