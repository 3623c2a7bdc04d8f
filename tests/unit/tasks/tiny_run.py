"""A run of the real loop on the tiny model, and what is trained in it."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from typing_extensions import override

from rankscope.models.config import RunConfig
from rankscope.models.events import Event, RanksChanged, StepDone
from rankscope.models.lora.adalora import AdaLoraTuning
from rankscope.models.lora.tuning import ElasticTuning
from rankscope.models.schedulers.adalora import AdaLora
from rankscope.models.schedulers.contract import (
    Apply,
    Decision,
    Measure,
    Memory,
    ProbeLoss,
    RankPlanner,
    View,
)
from rankscope.models.tuning import Tuning
from rankscope.tasks.batches import Collator
from rankscope.tasks.callback import Request, RunCallback
from rankscope.tasks.loop import RankTrainer
from rankscope.tasks.measuring import Measurer
from rankscope.tasks.rates import Rates
from rankscope.tasks.steering import Steering
from tests.unit.tasks import tiny

BUDGET = 496
Q0, K0 = tiny.name_of(0, "q_proj"), tiny.name_of(0, "k_proj")


class Seesaw(RankPlanner):
    """Lets two modules of equal cost take turns at steps 2 and 4; remembers what it measured."""

    kind: Literal["seesaw"] = "seesaw"

    @override
    def plan(self, view: View, memory: Memory) -> tuple[Decision, Memory]:
        if not view.measurements:
            return Measure(requests=(ProbeLoss(num_items=4),)), memory
        ranks = {Q0: 0, K0: 2} if view.step == 2 else {Q0: 2, K0: 0}
        seen = {"loss": view.measurements[0].model_dump()["loss"], "train_loss": view.train_loss}
        decision = Apply(ranks=ranks, lr_factors={K0: 0.5 / view.step}, reason="its turn")
        return decision, memory | {str(view.step): seen}

    @override
    def decision_steps(self, num_steps: int) -> tuple[int, ...]:
        return (2, 4)


def config(*, b_lr_ratio: float = 1.0, **training: object) -> RunConfig:
    return tiny.config(
        optimizer={"lr": 0.125, "b_lr_ratio": b_lr_ratio},
        training={"steps": 6, "batch_size": 4, "warmup_fraction": 0.0} | training,
        evaluation={"every_steps": 4},
        checkpoint={"every_s": 1000},
    )


class Run:
    """One tiny run and all that it said."""

    def __init__(
        self,
        folder: Path,
        settings: RunConfig,
        *,
        tuning: Tuning | None = None,
        is_steered: bool = False,
        planner: RankPlanner | None = None,
        requests: Mapping[int, Request] = MappingProxyType({}),
    ) -> None:
        vlm, part = tiny.vlm(), tiny.part(20)
        self.tuning = tuning or ElasticTuning(tiny.elastic_of(vlm, 1))
        self.events: list[Event] = []
        self.scored: list[int] = []
        self.flushed_after: list[Event] = []
        self.steering = None
        if (is_steered or planner) and isinstance(self.tuning, ElasticTuning):
            self.steering = Steering(
                planner or Seesaw(),
                self.tuning.elastic,
                Measurer(self.tuning.elastic, vlm, part),
                settings.lora,
                budget=BUDGET,
                num_steps=settings.training.steps,
                seed=0,
                emit=self.events.append,
            )
        self.callback = RunCallback(
            settings,
            tiny.inventory_of(tiny.vlm()),
            emit=self.events.append,
            flush=lambda: self.flushed_after.append(self.events[-1]),
            requested=lambda: requests.get(self.trainer.state.global_step),
            score_validation=self.scored.append,
        )
        self.trainer = RankTrainer(
            settings,
            self.tuning,
            self.steering,
            Rates(settings.optimizer, self.tuning.modules_of_parameters(), 2),
            Collator(part, vlm.processor),
            folder=folder,
            callback=self.callback,
        )
        self.callback.watch(self.trainer)

    def train(self, checkpoint: Path | None = None) -> None:
        self.trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)

    def steps(self) -> list[StepDone]:
        return [event for event in self.events if isinstance(event, StepDone)]

    def moves(self) -> list[tuple[int, dict[str, int]]]:
        return [(e.step, e.ranks) for e in self.events if isinstance(e, RanksChanged)]


def adalora() -> AdaLoraTuning:
    vlm = tiny.vlm()
    settings = AdaLora(warmup_fraction=0.1, final_fraction=0.5, interval_fraction=0.01)
    return AdaLoraTuning(
        vlm.model, tiny.inventory_of(vlm), settings, budget=2 * BUDGET, steps=6, scale=2.0
    )
