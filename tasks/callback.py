"""Between steps: tell what happened, let the planner decide, score, save, obey requests."""

import math
import time
from collections.abc import Callable
from typing import Any, Literal

from pydantic import TypeAdapter
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from typing_extensions import override

from rankscope.models.config import RunConfig
from rankscope.models.events import CheckpointSaved, Event, ParamsSampled, RanksChanged, StepDone
from rankscope.models.inventory import Inventory
from rankscope.tasks.checkpoints import CHECKPOINTS
from rankscope.tasks.loop import RankTrainer
from rankscope.tasks.rates import current_lr

Request = Literal["stop", "checkpoint"]
_REQUEST: TypeAdapter[Request | None] = TypeAdapter(Request | None)

TRAIN_LOSS_DECAY = 0.9
"""Of the exponential mean of the training loss that planners see: a memory of about ten steps."""


class TrainingDiverged(RuntimeError):
    """The loss is no longer a number."""


class RunCallback(TrainerCallback):
    """What a run does between two optimizer steps.

    ``trainer`` is set by :meth:`watch` once the trainer exists.
    """

    def __init__(
        self,
        config: RunConfig,
        inventory: Inventory,
        *,
        emit: Callable[[Event], None],
        flush: Callable[[], None],
        requested: Callable[[], Request | None],
        score_validation: Callable[[int], None],
    ) -> None:
        self.was_stopped = False
        self._config = config
        self._inventory = inventory
        self._emit = emit
        self._flush = flush
        self._requested = requested
        self._score_validation = score_validation
        self._trainer: RankTrainer | None = None
        self._started_s = 0.0
        self._saved_s = time.monotonic()
        self._lr = 0.0
        self._observed: dict[str, int] = {}

    def watch(self, trainer: RankTrainer) -> None:
        """The trainer whose steps these are."""
        self._trainer = trainer

    @property
    def trainer(self) -> RankTrainer:
        """The watched trainer."""
        assert self._trainer is not None
        return self._trainer

    @override
    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        # A checkpoint is loaded by now, so these are the ranks training goes on from.
        self._observed = self.trainer.tuning.ranks()

    @override
    def on_step_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        self._started_s = time.perf_counter()

    @override
    def on_pre_optimizer_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        self._lr = current_lr(self.trainer.plain_optimizer)
        steering = self.trainer.steering
        if steering and steering.saliency:
            steering.saliency.update()

    @override
    def on_optimizer_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        self.trainer.tuning.after_step(state.global_step)

    @override
    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        step, trainer = state.global_step, self.trainer
        self._tell_step(step)
        self._tell_observed_ranks(step)
        is_last = step == self._config.training.steps
        trainer.steer(step)
        if step % self._config.evaluation.every_steps == 0 or is_last:
            self._score_validation(step)
        request = trainer.group.from_first(self._requested, _REQUEST)
        if request == "stop" and not is_last:
            self.was_stopped = True
            control.should_training_stop = True
        is_time = time.monotonic() - self._saved_s >= self._config.checkpoint.every_s
        is_due = bool(request) or is_time or is_last
        control.should_save = is_due and trainer.group.number == 0
        if control.should_save:
            # A checkpoint ahead of the record would leave a hole in it after a kill.
            self._flush()

    @override
    def on_save(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        self._saved_s = time.monotonic()
        name, size_bytes = self.trainer.last_checkpoint
        self._emit(
            CheckpointSaved(
                step=state.global_step,
                time=time.time(),
                path=f"{CHECKPOINTS}/{name}",
                size_bytes=size_bytes,
            )
        )

    def _tell_step(self, step: int) -> None:
        trainer = self.trainer
        loss = trainer.group.total(sum(float(part) for part in trainer.step_losses))
        trainer.step_losses.clear()
        if not math.isfinite(loss):
            raise TrainingDiverged(
                f"the training loss must stay finite, got {loss} at step {step}; "
                f"lower optimizer.lr={self._config.optimizer.lr:g}"
            )
        before = trainer.train_loss
        mean = loss if before is None else TRAIN_LOSS_DECAY * before + (1 - TRAIN_LOSS_DECAY) * loss
        trainer.train_loss = mean
        self._emit(
            StepDone(
                step=step,
                time=time.time(),
                loss=loss,
                lr=self._lr,
                grad_norm=trainer.grad_norm,
                step_s=time.perf_counter() - self._started_s,
            )
        )

    def _tell_observed_ranks(self, step: int) -> None:
        """Report ranks that moved by themselves (AdaLoRA's masks)."""
        trainer = self.trainer
        if trainer.steering:
            return
        ranks = trainer.tuning.ranks()
        changed = {name: rank for name, rank in ranks.items() if rank != self._observed[name]}
        if not changed:
            return
        cost = {module.name: module.cost for module in self._inventory.modules}
        moved = sum(cost[name] * abs(rank - self._observed[name]) for name, rank in changed.items())
        self._observed = ranks
        self._emit(
            RanksChanged(
                step=step,
                time=time.time(),
                ranks=changed,
                cause="observed",
                moved_params=moved // 2,
                live_params=self._inventory.params(ranks),
            )
        )
        self._emit(
            ParamsSampled(
                step=step, time=time.time(), live_params=trainer.tuning.live_params(), sample=step
            )
        )
