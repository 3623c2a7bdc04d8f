"""Put a rank planner on somebody's own Trainer: refuse what cannot work, then connect the parts."""

import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import torch
from accelerate.utils.dataclasses import DistributedType
from peft import PeftModel
from pydantic import TypeAdapter
from torch.optim import Optimizer
from torch.utils.data import Dataset
from transformers import Trainer

from rankscope.models.budgets import Budget
from rankscope.models.config import LoraSettings
from rankscope.models.external import ExternalRun
from rankscope.models.lora.adopting import adopt
from rankscope.models.lora.elastic import ElasticLora
from rankscope.models.rank_bounds import check_budget, initial_states
from rankscope.models.reading import ConfigError, parse_part
from rankscope.models.schedulers import PLANNERS, AnyScheduler
from rankscope.models.schedulers.allocation import uniform_ranks
from rankscope.models.schedulers.contract import RankPlanner
from rankscope.tasks.attached import Attached
from rankscope.tasks.attached_callback import AttachedCallback
from rankscope.tasks.offline import resolve_offline
from rankscope.tasks.probing import TrainerMeasurer
from rankscope.tasks.remote import Server
from rankscope.tasks.sending import Sender
from rankscope.tasks.steering import Steering

_SCHEDULER: TypeAdapter[AnyScheduler] = TypeAdapter(AnyScheduler)
_BUDGET: TypeAdapter[Budget] = TypeAdapter(Budget)
_LORA: TypeAdapter[LoraSettings] = TypeAdapter(LoraSettings)
_EXTERNAL_RUN: TypeAdapter[ExternalRun] = TypeAdapter(ExternalRun)
_ADAMS = (torch.optim.Adam, torch.optim.AdamW)
_ADAM_NAMES = frozenset({"adamw_torch", "adamw_torch_fused"})
_GROWTH = 2
"""By default a module may grow to so many times the largest rank there is, ..."""
_LONGEST = 200
"""Of what describes a run."""


def attach(
    trainer: Trainer,
    scheduler: str | Mapping[str, Any] | RankPlanner,
    *,
    budget: int | Mapping[str, Any] | None,
    probe: Dataset[Any] | None,
    min_rank: int,
    max_rank: int | None,
    pins: Mapping[str, int],
    url: str | None,
    token: str | None,
    name: str,
    tags: Sequence[str],
    data: str,
    events_file: str | Path | None,
    flush_s: float,
) -> Attached:
    """Let a planner move the ranks of a trainer's adapters; see ``rankscope.attach``.

    Raises:
        ConfigError: It could not work, and why; the trainer is as it was.
        RemoteError: The server refuses.
    """
    _check_trainer(trainer)
    planner = _planner(scheduler, probe)
    num_steps = _num_steps(trainer)
    _check_optimizer(trainer, planner, num_steps)
    server = None if url is None else Server(url, token)
    try:
        elastic = adopt(cast("PeftModel", trainer.model), seed=trainer.args.seed)
        settings = _settings(elastic, min_rank, max_rank, pins)
        params = _budget(budget, elastic)
        _start_within(elastic, settings, params, trainer.optimizer)
        described = parse_part(
            _EXTERNAL_RUN,
            {
                "name": name,
                "tags": tuple(tags),
                "seed": trainer.args.seed,
                "model": {"name": _model_name(elastic)},
                "data": {"task": (data or type(trainer.train_dataset).__name__)[:_LONGEST]},
                "budget": {"value": params},
                "scheduler": _described(planner),
                "lora": {"min_rank": settings.min_rank, "max_rank": settings.max_rank},
                "training": _training(trainer, num_steps),
            },
            "attach",
        )
        sender = None
        if server is not None:
            sender = Sender(
                server,
                described,
                elastic.inventory,
                key=uuid.uuid4().hex,
                other_trainable_params=_other_params(elastic),
            )
        file = None if events_file is None else Path(events_file)
        attached = Attached(elastic, params, sender=sender, url=url, file=file, flush_s=flush_s)
        steering = Steering(
            planner,
            elastic,
            TrainerMeasurer(elastic, trainer, probe),
            settings,
            budget=params,
            num_steps=num_steps,
            seed=trainer.args.seed,
            emit=attached.emit,
            offline=resolve_offline(None, planner.wanted_offline, elastic.inventory.modules),
        )
    except ValueError as error:
        raise ConfigError(str(error)) from error
    attached.start()
    trainer.add_callback(
        AttachedCallback(trainer, elastic, steering, attached, num_steps=num_steps)
    )
    return attached


def _check_trainer(trainer: Trainer) -> None:
    """Refuse what a change of shapes between two steps would break."""
    if not isinstance(trainer, Trainer):
        raise ConfigError(
            f"attach needs a transformers Trainer, got {type(trainer).__name__}; give your trainer"
        )
    if any(isinstance(one, AttachedCallback) for one in trainer.callback_handler.callbacks):
        raise ConfigError("a trainer is attached to once, this one is already; make a new one")
    accelerator, args = trainer.accelerator, trainer.args
    kind = accelerator.distributed_type
    if kind != DistributedType.NO or accelerator.num_processes > 1 or args.n_gpu > 1:
        raise ConfigError(
            f"ranks move in one process on one device, got {kind.value} with "
            f"{accelerator.num_processes} processes and {args.n_gpu} GPUs; "
            "make one device visible (CUDA_VISIBLE_DEVICES=0)"
        )
    for option, why in {
        "torch_compile": "a compiled model has fixed shapes",
        "auto_find_batch_size": "it would begin anew with other steps",
        "load_best_model_at_end": "an earlier checkpoint has other ranks",
    }.items():
        if getattr(args, option):
            raise ConfigError(f"{option} must be off where ranks move, got it on: {why}; leave it")


def _planner(
    scheduler: str | Mapping[str, Any] | RankPlanner, probe: Dataset[Any] | None
) -> RankPlanner:
    if isinstance(scheduler, RankPlanner):
        planner: object = scheduler
    else:
        raw = {"kind": scheduler} if isinstance(scheduler, str) else dict(scheduler)
        planner = parse_part(_SCHEDULER, raw, "scheduler")
    if not isinstance(planner, RankPlanner):
        kinds = ", ".join(str(one.model_fields["kind"].default) for one in PLANNERS)
        raise ConfigError(
            f"scheduler must be a planner ({kinds}), got {type(planner).__name__} which trains by "
            "itself; choose one of them"
        )
    num_items = 0 if probe is None else len(probe)  # type: ignore[arg-type]
    if planner.most_probe_items > num_items:
        raise ConfigError(
            f"{planner.kind} measures on {planner.most_probe_items} held-out items, got "
            f"{num_items}; give probe=DATASET of at least as many, batched like your training data"
        )
    return planner


def _num_steps(trainer: Trainer) -> int:
    """Optimizer steps that training is going to take, as the Trainer itself will count them."""
    if trainer.args.max_steps > 0:
        return trainer.args.max_steps
    with torch.random.fork_rng(devices=[]):  # the person's training draws as it would alone
        loader = trainer.get_train_dataloader()
        *_, max_steps = trainer.set_initial_training_values(trainer.args, loader)
    return max_steps


def _check_optimizer(trainer: Trainer, planner: RankPlanner, num_steps: int) -> None:
    """Refuse an optimizer whose state could not follow a move of ranks during training."""
    if not any(step > 0 for step in planner.decision_steps(num_steps)):
        return  # before the first step there is no state
    made, given = trainer.optimizer, trainer.optimizer_cls_and_kwargs
    if made is not None:
        is_adam, called = isinstance(made, _ADAMS), type(made).__name__
    elif given is not None:
        is_adam, called = issubclass(given[0], _ADAMS), given[0].__name__
    else:
        called = _optim_name(trainer)
        is_adam = called in _ADAM_NAMES
    if not is_adam:
        raise ConfigError(
            f"ranks that move during training need torch's Adam or AdamW, got {called}; "
            "set optim='adamw_torch', or choose a scheduler that decides before training"
        )


def _settings(
    elastic: ElasticLora, min_rank: int, max_rank: int | None, pins: Mapping[str, int]
) -> LoraSettings:
    default = max(_GROWTH * max(elastic.ranks().values()), LoraSettings().max_rank)
    highest = default if max_rank is None else max_rank
    return parse_part(
        _LORA, {"min_rank": min_rank, "max_rank": highest, "pins": dict(pins)}, "lora"
    )


def _budget(budget: int | Mapping[str, Any] | None, elastic: ElasticLora) -> int:
    if budget is None:
        return elastic.live_params()
    raw = {"unit": "params", "value": budget} if isinstance(budget, int) else dict(budget)
    return parse_part(_BUDGET, raw, "budget").params(elastic.inventory)


def _start_within(
    elastic: ElasticLora, settings: LoraSettings, budget: int, optimizer: Optimizer | None
) -> None:
    """Bring the ranks there are within bounds and budget, before anything is trained."""
    states = initial_states(elastic.inventory, settings)
    check_budget(states, budget)
    present = elastic.ranks()
    ranks = {m.name: min(max(present[m.name], m.min_rank), m.max_rank) for m in states}
    if elastic.inventory.params(ranks) > budget:
        ranks = uniform_ranks(states, budget)
    if ranks != present:
        elastic.resize(ranks, optimizer, budget=max(budget, elastic.live_params()))


def _described(planner: RankPlanner) -> dict[str, Any]:
    """Its settings; of a planner that the server does not know, its name."""
    if isinstance(planner, PLANNERS):
        return planner.model_dump(mode="json")
    return {"kind": "external", "name": planner.kind[:_LONGEST]}


def _training(trainer: Trainer, num_steps: int) -> dict[str, Any]:
    made, args = trainer.optimizer, trainer.args
    return {
        "steps": num_steps,
        "batch_size": args.train_batch_size,
        "accumulation_steps": args.gradient_accumulation_steps,
        "lr": args.learning_rate,
        "optimizer": _optim_name(trainer) if made is None else type(made).__name__,
    }


def _optim_name(trainer: Trainer) -> str:
    optim = trainer.args.optim
    return str(getattr(optim, "value", optim))


def _model_name(elastic: ElasticLora) -> str:
    base = elastic.peft_model.get_base_model()
    return str(getattr(base, "name_or_path", "") or type(base).__name__)[:_LONGEST]


def _other_params(elastic: ElasticLora) -> int:
    trained = sum(p.numel() for p in elastic.peft_model.parameters() if p.requires_grad)
    return trained - elastic.live_params()
