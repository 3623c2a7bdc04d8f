"""Between the steps of somebody's own Trainer: tell what happened, let the planner decide."""

import time
from collections.abc import Callable, Mapping
from typing import Any, ParamSpec, TypeVar

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from typing_extensions import override

from rankscope.models.events import ParamsSampled, RanksChanged, StatusChanged, StepDone
from rankscope.models.lora.adopting import release
from rankscope.models.lora.elastic import ElasticLora
from rankscope.models.reading import ConfigError
from rankscope.tasks.attached import Attached
from rankscope.tasks.callback import TRAIN_LOSS_DECAY
from rankscope.tasks.steering import Steering

How = ParamSpec("How")
Result = TypeVar("Result")

_MAX_REASON = 2_000


class AttachedCallback(TrainerCallback):
    """Steers the ranks of a Trainer's model from the first step of its next training to the last.

    Nothing here ends a training that would go on without it: what fails is told and left off.
    """

    def __init__(
        self,
        trainer: Trainer,
        elastic: ElasticLora,
        steering: Steering,
        attached: Attached,
        *,
        num_steps: int,
    ) -> None:
        self._trainer = trainer
        self._elastic = elastic
        self._steering = steering
        self._attached = attached
        self._num_steps = num_steps
        self._rates = PartialUpdates(elastic)
        self._listening = _Listening(trainer, attached)
        self._is_on = False
        self._is_stopped = False
        self._has_failed = False
        self._train_loss: float | None = None
        self._started_s = 0.0
        self._lr = 0.0

    @override
    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        if self._attached.ended is not None:
            return
        if state.max_steps != self._num_steps:
            raise ConfigError(
                f"training must take the {self._num_steps:,} steps it had when it was attached "
                f"to, got {state.max_steps:,}; attach after the last change of its arguments"
            )
        self._is_on = True
        self._elastic.check()
        self._tell_start(state.global_step)
        self._decide(state.global_step)
        self._attached.emit(
            StatusChanged(
                step=state.global_step, time=time.time(), status="running", reason="training"
            )
        )

    @override
    def on_step_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        self._started_s = time.perf_counter()

    @override
    def on_pre_optimizer_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        if not self._is_on:
            return
        self._lr = float(self._optimizer().param_groups[0]["lr"])
        if self._steering.saliency:
            self._steering.saliency.update()
        self._rates.before_step(self._steering.lr_factors)

    @override
    def on_optimizer_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        if self._is_on:
            self._rates.after_step()

    @override
    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        if not self._is_on:
            return
        self._tell_step(state.global_step)
        self._decide(state.global_step)
        request = self._attached.take_request()
        if request == "stop":
            self._is_stopped = True
            control.should_training_stop = True
        elif request == "checkpoint":
            control.should_save = True

    @override
    def on_evaluate(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        metrics: Mapping[str, float] | None = None,
        **_: Any,
    ) -> None:
        if self._is_on and metrics:
            listed = ", ".join(
                f"{name} {value:.4g}" for name, value in metrics.items() if name != "epoch"
            )
            self._attached.say(f"evaluated: {listed}")

    @override
    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        if not self._is_on:
            return
        self._is_on = False
        empty = release(self._elastic)
        if empty:
            self._attached.say(f"{len(empty)} modules at rank 0 are left without an adapter")
        self._listening.end()
        if self._is_stopped:
            self._attached.end("stopped", "as asked on its page")
        else:
            self._attached.end("done")

    def _decide(self, step: int) -> None:
        """Let the planner decide if it is due; the ranks stay where anything goes wrong."""
        if self._has_failed or not self._steering.is_due(step):
            return
        try:
            self._steering.decide(step, self._train_loss, self._optimizer())
        except Exception as error:  # noqa: BLE001 - somebody's training must not die of us
            self._has_failed = True
            text = " ".join(str(error).split())
            self._attached.scheduler_failure = f"{type(error).__name__}: {text}"
            self._attached.say(f"ranks could not be moved and stay from now on: {text}", "error")
        if self._steering.failure is not None:
            self._attached.scheduler_failure = self._steering.failure

    def _tell_start(self, step: int) -> None:
        now, live_params = time.time(), self._elastic.live_params()
        self._attached.emit(ParamsSampled(step=step, time=now, live_params=live_params, sample=0))
        self._attached.emit(
            RanksChanged(
                step=step,
                time=now,
                ranks=self._elastic.ranks(),
                cause="start",
                moved_params=0,
                live_params=live_params,
            )
        )

    def _tell_step(self, step: int) -> None:
        loss = self._listening.take_loss()
        before = self._train_loss
        self._train_loss = (
            loss if before is None else TRAIN_LOSS_DECAY * before + (1 - TRAIN_LOSS_DECAY) * loss
        )
        self._attached.emit(
            StepDone(
                step=step,
                time=time.time(),
                loss=loss,
                lr=self._lr,
                step_s=time.perf_counter() - self._started_s,
            )
        )

    def _optimizer(self) -> Optimizer:
        """The optimizer itself, out of accelerate's wrapper."""
        wrapped = self._trainer.optimizer
        plain = getattr(wrapped, "optimizer", wrapped)
        assert isinstance(plain, Optimizer)
        return plain


class PartialUpdates:
    """Learning-rate factors per module, on any optimizer with any schedule.

    An update is proportional to the learning rate in every optimizer that takes one, its weight
    decay too. So a factor f on the rate is the same as going f times as far from the weights before
    the step; groups and schedule, which are the person's own, stay as they are.
    """

    def __init__(self, elastic: ElasticLora) -> None:
        self._elastic = elastic
        self._before: list[tuple[nn.Parameter, Tensor, float]] = []

    def before_step(self, factors: Mapping[str, float]) -> None:
        """Remember the weights of modules whose factor is not 1."""
        self._before = [
            (parameter, parameter.detach().clone(), factor)
            for name, factor in factors.items()
            if factor != 1.0
            for parameter in self._elastic.parameters_of(name)
        ]

    @torch.no_grad()
    def after_step(self) -> None:
        """Go their factor's share of the way."""
        for parameter, before, factor in self._before:
            parameter.copy_(torch.lerp(before, parameter, factor))
        self._before = []


class _Listening:
    """Hears a Trainer's losses and how its training ends; both only its own methods know.

    They are replaced on the instance: the person's class, and other trainers, stay as they are.
    """

    def __init__(self, trainer: Trainer, attached: Attached) -> None:
        self._trainer = trainer
        self._attached = attached
        self._losses: list[Tensor] = []
        self._before = {name: trainer.__dict__.get(name) for name in ("train", "training_step")}
        trainer.training_step = self._heard(trainer.training_step)  # type: ignore[method-assign]
        trainer.train = self._watched(trainer.train)  # type: ignore[method-assign]

    def take_loss(self) -> float:
        """Mean loss of the step just done: its parts are shares of it already."""
        loss = float(sum(float(part) for part in self._losses))
        self._losses.clear()
        return loss

    def end(self) -> None:
        """Leave the trainer as it was."""
        for name, before in self._before.items():
            self._trainer.__dict__.pop(name, None)
            if before is not None:
                setattr(self._trainer, name, before)

    def _heard(self, training_step: Callable[How, Tensor]) -> Callable[How, Tensor]:
        def step(*arguments: How.args, **named: How.kwargs) -> Tensor:
            loss = training_step(*arguments, **named)
            self._losses.append(loss)
            return loss

        return step

    def _watched(self, train: Callable[How, Result]) -> Callable[How, Result]:
        def watched(*arguments: How.args, **named: How.kwargs) -> Result:
            try:
                return train(*arguments, **named)
            except KeyboardInterrupt:
                self._attached.end("stopped", "interrupted")
                raise
            except BaseException as error:
                text = " ".join(str(error).split())
                self._attached.end("failed", f"{type(error).__name__}: {text}"[:_MAX_REASON])
                raise

        return watched
