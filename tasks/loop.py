"""The training loop: transformers' Trainer with our optimizer groups, checkpoints and processes."""

import json
import math
import random
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR
from transformers import PrinterCallback, Trainer, TrainerCallback, TrainingArguments
from transformers.trainer import TRAINER_STATE_NAME
from typing_extensions import override

from rankscope.models.config import RunConfig
from rankscope.models.tuning import Tuning
from rankscope.models.vlms.labels import num_scored
from rankscope.tasks.batches import Collator, TrainingItems, training_items
from rankscope.tasks.checkpoints import (
    CheckpointState,
    Tensors,
    drop_old_checkpoints,
    load_trained,
    random_states,
    read_checkpoint,
    restore_random_states,
    trained_tensors,
    under,
    write_checkpoint,
)
from rankscope.tasks.process_group import ALONE, ProcessGroup
from rankscope.tasks.rates import Rates
from rankscope.tasks.steering import Steering


class RankTrainer(Trainer):
    """Trains one run's adapters, and can stop and go on bitwise at any checkpoint."""

    def __init__(
        self,
        config: RunConfig,
        tuning: Tuning,
        steering: Steering | None,
        rates: Rates,
        collator: Collator,
        *,
        folder: Path,
        callback: TrainerCallback,
        group: ProcessGroup = ALONE,
    ) -> None:
        self.config = config
        self.group = group
        self.tuning = tuning
        self.steering = steering
        self.rates = rates
        self.step_losses: list[Tensor] = []
        self.grad_norm: float | None = None
        self.train_loss: float | None = None
        self.last_checkpoint = ("", 0)
        self.folder = folder
        self._checkpoint: tuple[CheckpointState, Tensors] | None = None
        super().__init__(
            model=tuning.model,
            args=_arguments(config, folder, next(tuning.model.parameters()).device, group.size),
            data_collator=collator,
            train_dataset=training_items(config, collator.part, group),
            callbacks=[callback],
        )
        self.remove_callback(PrinterCallback)  # what it prints our events tell

    @property
    def planned_factors(self) -> Mapping[str, float]:
        """Learning-rate factors per module in force, as the planner set them."""
        return self.steering.lr_factors if self.steering else {}

    @override
    def _get_train_sampler(self, *_: Any) -> torch.utils.data.Sampler[int]:
        # The data set itself is the shuffled order.
        assert isinstance(self.train_dataset, TrainingItems)
        return torch.utils.data.SequentialSampler(self.train_dataset)

    @override
    def floating_point_ops(self, inputs: dict[str, Any]) -> int:
        # Counting parameters anew each step takes 6 % of a small model's step, and nobody reads it.
        return 0

    @override
    def training_step(self, *args: Any, **kwargs: Any) -> Tensor:
        loss = super().training_step(*args, **kwargs)
        self.step_losses.append(loss)
        return loss

    @override
    def compute_loss(
        self,
        model: nn.Module,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: Tensor | int | None = None,
    ) -> Any:
        if self.group.size == 1:
            return super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
        # Of the loss of the whole batch, the part that this process's own tokens make.
        counted = num_scored(inputs["labels"]) if num_items_in_batch is None else num_items_in_batch
        num_own = int(counted)
        num_all = self.group.total(num_own)
        if not num_own:
            return torch.zeros((), device=inputs["labels"].device, requires_grad=True)
        loss: Tensor = super().compute_loss(model, inputs, num_items_in_batch=num_items_in_batch)  # type: ignore[assignment]
        return loss * (num_own / num_all)

    @override
    def _clip_grad_norm(self, model: nn.Module) -> Any:
        self.group.sum_gradients(p for p in model.parameters() if p.requires_grad)
        norm = super()._clip_grad_norm(model)  # type: ignore[no-untyped-call]
        # the step that finds fp16's scale too large is left out, and has no norm
        is_left_out = self.accelerator.scaler is not None and not math.isfinite(norm)
        self.grad_norm = None if is_left_out else float(norm)
        return norm

    @override
    def create_optimizer(self, model: nn.Module | None = None) -> torch.optim.Optimizer:
        if self.optimizer is None:
            settings = self.config.optimizer
            self.optimizer = torch.optim.AdamW(
                self.rates.groups(self._model(), self.planned_factors),
                betas=(settings.beta1, settings.beta2),
                weight_decay=settings.weight_decay,
                fused=True,
            )
        return self.optimizer

    def steer(self, step: int) -> None:
        """Let the planner decide if it is due, and put new learning-rate factors in force."""
        optimizer = self.plain_optimizer
        if self.steering and self.steering.is_due(step):
            self.steering.decide(step, self.train_loss, optimizer)
            self.rates.regroup(self._model(), self.planned_factors, optimizer, self._schedule())

    @property
    def plain_optimizer(self) -> torch.optim.Optimizer:
        """The optimizer itself, out of accelerate's wrapper."""
        wrapped = self.optimizer
        plain = getattr(wrapped, "optimizer", wrapped)
        assert isinstance(plain, torch.optim.Optimizer)
        return plain

    @override
    def _save_checkpoint(self, model: nn.Module, trial: Any) -> None:
        folder = self.folder
        path = folder / f"step-{self.state.global_step:09d}"
        state, tensors = self._snapshot()
        progress = json.dumps(asdict(self.state))
        size_bytes = write_checkpoint(path, state, tensors, {TRAINER_STATE_NAME: progress})
        drop_old_checkpoints(folder)
        self.last_checkpoint = (path.name, size_bytes)

    def _snapshot(self) -> tuple[CheckpointState, Tensors]:
        python_random, numpy_random, tensors = random_states()
        tensors |= trained_tensors(self.tuning)
        names = {id(parameter): name for name, parameter in self._model().named_parameters()}
        for parameter, values in self.plain_optimizer.state.items():
            for key, value in values.items():
                tensors[f"optimizer/{names[id(parameter)]}/{key}"] = value
        steering = self.steering
        state = CheckpointState(
            config_hash=self.config.hash(),
            step=self.state.global_step,
            ranks=self.tuning.ranks(),
            num_threads=torch.get_num_threads(),
            lr_factors=dict(self.planned_factors),
            last_epoch=self._schedule().last_epoch,
            memory=steering.memory if steering else {},
            saliency=steering.saliency.state() if steering and steering.saliency else {},
            scheduler_failure=steering.failure if steering else None,
            train_loss=self.train_loss,
            num_samples=steering.num_samples if steering else 0,
            loss_scale=self.accelerator.scaler.state_dict() if self.accelerator.scaler else {},
            python_random=python_random,
            numpy_random=numpy_random,
        )
        return state, tensors

    @override
    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        state, tensors = read_checkpoint(Path(resume_from_checkpoint), self.config.hash())
        self._checkpoint = (state, tensors)
        torch.set_num_threads(state.num_threads)
        load_trained(self.tuning, state, tensors)
        self.train_loss = state.train_loss
        if self.steering:
            self.steering.memory = state.memory
            self.steering.failure = state.scheduler_failure
            self.steering.lr_factors = state.lr_factors
            self.steering.num_samples = state.num_samples
            if self.steering.saliency:
                self.steering.saliency.load(state.saliency)

    @override
    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        if self._checkpoint is None:
            return
        state, tensors = self._checkpoint
        optimizer, schedule = self.plain_optimizer, self._schedule()
        for name, parameter in self._model().named_parameters():
            values = under(f"optimizer/{name}/", tensors)
            if values:
                optimizer.state[parameter] = {
                    # The fused kernel wants the step count beside the weights.
                    key: value.to(parameter.device)
                    for key, value in values.items()
                }
        if self.accelerator.scaler:
            self.accelerator.scaler.load_state_dict(state.loss_scale)
        schedule.last_epoch = state.last_epoch
        self.rates.regroup(self._model(), self.planned_factors, optimizer, schedule)

    @override
    def _load_rng_state(self, checkpoint: str | None) -> None:
        if self._checkpoint is not None:
            restore_random_states(*self._checkpoint)

    def _model(self) -> nn.Module:
        return self.tuning.model

    def _schedule(self) -> LambdaLR:
        schedule = self.lr_scheduler
        assert isinstance(schedule, LambdaLR)
        return schedule


def seed_everything(seed: int) -> None:
    """Seed every generator a library may draw from."""
    random.seed(seed)
    torch.manual_seed(seed)
    torch.use_deterministic_algorithms(mode=True, warn_only=True)


def _arguments(
    config: RunConfig, folder: Path, device: torch.device, num_processes: int
) -> TrainingArguments:
    training = config.training
    arguments = TrainingArguments(
        output_dir=str(folder),
        max_steps=training.steps,
        per_device_train_batch_size=training.batch_size // num_processes,
        gradient_accumulation_steps=training.accumulation_steps,
        learning_rate=config.optimizer.lr,
        lr_scheduler_type="cosine",
        warmup_steps=round(training.warmup_fraction * training.steps),
        max_grad_norm=config.optimizer.max_grad_norm,
        bf16=training.precision == "bf16",
        fp16=training.precision == "fp16",
        use_cpu=device.type == "cpu",  # else transformers refuses bf16 there
        seed=config.seed,
        # Logging, saving and scoring are our callback's.
        logging_strategy="no",
        save_strategy="no",
        eval_strategy="no",
        report_to=[],
        disable_tqdm=True,
        # A diverged run must say so instead of averaging the NaN away.
        logging_nan_inf_filter=False,
        dataloader_pin_memory=False,
        remove_unused_columns=False,
        label_names=["labels"],
    )
    # A process is on one device: transformers would spread it over all that it sees.
    arguments._n_gpu = min(arguments.n_gpu, 1)
    return arguments
