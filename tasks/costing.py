"""What a run would cost, from its config alone: parameters, memory, time and disk."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Engine

from rankscope.models.config import RunConfig
from rankscope.models.cost.activations import Batch, activations
from rankscope.models.cost.disk import DiskEstimate, disk
from rankscope.models.cost.lengths import Lengths
from rankscope.models.cost.memory import MemoryEstimate, full_params, memory, scoring_bytes
from rankscope.models.inventory import PARTS, Linears, Part
from rankscope.storage.settings import Settings
from rankscope.tasks import machine
from rankscope.tasks.estimating import PROBE_ROWS, Subject
from rankscope.tasks.planning import Plan
from rankscope.tasks.timing import TimeEstimate, time_of

Fit = Literal["fits", "tight", "too_large"]

_TIGHT_SHARE = 0.9
"""Of a memory: an estimate above it may prove too much."""
_GPU_MULTIPLE = 8
"""Of ranks: tensor cores multiply 16-bit matrices in eights (NVIDIA, Deep Learning Performance:
Matrix Multiplication Background, "Tensor Core Requirements")."""


class PartCost(BaseModel):
    """Parameters of one part of the model."""

    model_config = ConfigDict(frozen=True)

    params: int = Field(description="Of the base model.")
    trainable_params: int = Field(description="Of adapters at the first ranks, or the part's own.")
    how: Literal["adapters", "full", "frozen"]


class MachineShown(BaseModel):
    """Where the run would compute if it were started on this machine."""

    model_config = ConfigDict(frozen=True)

    kind: Literal["cuda", "cpu"]
    name: str
    memory_bytes: int = Field(description="Of one device: a process computes on one.")
    free_bytes: int
    disk_free_bytes: int


class Cost(BaseModel):
    """What is asked before a launch; bytes and seconds."""

    model_config = ConfigDict(frozen=True)

    trainable_params: int = Field(description="Adapters and all that is trained beside them.")
    whole_params: int = Field(description="Base model and adapters.")
    parts: dict[Part, PartCost]
    lengths: Lengths | None = Field(description="None where the model's sizes are not known.")
    num_processes: int
    memory: MemoryEstimate = Field(description="Of each of the run's processes.")
    disk: DiskEstimate
    time: TimeEstimate | None
    machine: MachineShown
    fit: Fit
    warnings: tuple[str, ...]


def cost_of(
    config: RunConfig, planned: Plan, linears: Linears, settings: Settings, engine: Engine | None
) -> Cost:
    """Everything at once.

    Args:
        config: What would run.
        planned: Its ranks.
        linears: All modules of its model.
        settings: Where the data lie, and what was measured.
        engine: The database with past runs, if there is one.
    """
    subject = Subject.of(config, planned, linears, settings.roots)
    device = machine.training_device(config.training.device)
    shown = MachineShown(**device._asdict(), disk_free_bytes=_disk_free(settings.rankscope_home))
    on_cpu = device.kind == "cpu"
    estimate, left = _memory(subject, on_cpu=on_cpu), _disk(subject)
    sharers = config.training.num_processes if on_cpu else 1
    need_bytes = sharers * estimate.total_bytes
    fit = _fit(need_bytes, shown.memory_bytes)
    own = full_params(linears, subject.trained)
    return Cost(
        trainable_params=planned.params + own,
        whole_params=linears.total_params + planned.params,
        parts={part: _part(subject, part) for part in PARTS if linears.params_by_part.get(part)},
        lengths=subject.lengths,
        num_processes=config.training.num_processes,
        memory=estimate,
        disk=left,
        time=time_of(subject, device, settings, engine),
        machine=shown,
        fit=fit,
        warnings=tuple(_warnings(subject, estimate, need_bytes, left, shown, fit)),
    )


def _memory(subject: Subject, *, on_cpu: bool) -> MemoryEstimate:
    config, sizes, lengths = subject.config, subject.linears.sizes, subject.lengths
    kept, scoring = None, 0
    if sizes is not None and lengths is not None:
        rows = config.training.batch_size // config.training.num_processes
        kept = activations(
            subject.linears.modules,
            sizes,
            subject.trained,
            subject.formats,
            Batch(rows, lengths.longest_tokens, rows * lengths.pictures),
            checkpointing=subject.checkpointing,
        )
        scored = max((*subject.validations(), *subject.tests()), default=0)
        at_once = min(scored, config.evaluation.batch_size), min(subject.probe_items, PROBE_ROWS)
        scoring = scoring_bytes(
            subject.linears,
            subject.formats,
            rows=max(at_once),
            tokens=lengths.longest_tokens,
            answer_tokens=subject.answer_tokens,
        )
    return memory(
        subject.linears,
        subject.trained,
        subject.formats,
        adapter_params=subject.planned.params,
        kept=kept,
        scoring_bytes=scoring,
        checkpointing=subject.checkpointing,
        on_cpu=on_cpu,
    )


def _disk(subject: Subject) -> DiskEstimate:
    planned = subject.planned
    has_adapters = any(module.rank for module in planned.modules)
    return disk(
        adapter_params=max(planned.params, planned.budget_params) if has_adapters else 0,
        full_params=full_params(subject.linears, subject.trained),
        num_steps=subject.config.training.steps,
        num_decisions=len(planned.ranks_decided_at_steps),
        num_modules=len(planned.modules),
        scored_items=(*subject.validations(), *subject.tests()),
        features_bytes=_features_bytes(subject),
    )


def _features_bytes(subject: Subject) -> int:
    """Of the pictures of built-in data sets, one an item; of others nobody knows how many."""
    sizes = subject.linears.sizes
    if sizes is None or sizes.picture is None or not sizes.picture.cached_bytes:
        return 0
    names = ("train_items", "probe_items", "validation_items", "test_items")
    return sizes.picture.cached_bytes * sum(
        int(getattr(subject.config.data, name, 0)) for name in names
    )


def _part(subject: Subject, part: Part) -> PartCost:
    adapters = sum(m.cost * m.rank for m in subject.planned.modules if m.part == part)
    modules = tuple(m for m in subject.linears.modules if m.part == part)
    params = subject.linears.params_by_part[part]
    if part in subject.trained.full_parts:
        return PartCost(params=params, trainable_params=params, how="full")
    own = sum(m.d_in * m.d_out for m in modules if m.name in subject.trained.full_modules)
    if own:
        return PartCost(params=params, trainable_params=own, how="full")
    how: Literal["adapters", "frozen"] = "adapters" if adapters else "frozen"
    return PartCost(params=params, trainable_params=adapters, how=how)


def _disk_free(home: Path) -> int:
    """Where the runs' files will lie; the nearest folder that is there tells."""
    path = home.expanduser()
    while not path.exists():
        path = path.parent
    return shutil.disk_usage(path).free


def _fit(total_bytes: int, memory_bytes: int) -> Fit:
    if total_bytes > memory_bytes:
        return "too_large"
    return "tight" if total_bytes > _TIGHT_SHARE * memory_bytes else "fits"


def _warnings(
    subject: Subject,
    estimate: MemoryEstimate,
    need_bytes: int,
    left: DiskEstimate,
    shown: MachineShown,
    fit: Fit,
) -> Iterator[str]:
    asked, num_processes = subject.config.training.device, subject.config.training.num_processes
    if asked.startswith("cuda") and shown.kind != "cuda":
        yield (
            f"training.device must be there, got {asked} where this machine has {shown.name}; set "
            "it to auto, or let a worker that has it take the run"
        )
    num_gpus = len(machine.gpus()) if shown.kind == "cuda" else num_processes
    if num_gpus < num_processes:
        yield (
            f"training.num_processes must be at most the {num_gpus} GPUs of this machine, got "
            f"{num_processes}; lower it, or let a worker that sees more take the run"
        )
    need, has = _gigabytes(need_bytes), _gigabytes(shown.memory_bytes)
    if fit != "fits":
        rule = "exceeds" if fit == "too_large" else "comes close to"
        yield f"memory {rule} what {shown.name} has: {need} of {has}; {_remedy(subject, estimate)}"
    elif need_bytes > shown.free_bytes:
        yield (
            f"memory exceeds what is free on {shown.name} now: {need} of "
            f"{_gigabytes(shown.free_bytes)}; wait for other runs or stop them"
        )
    if left.total_bytes > shown.disk_free_bytes:
        yield (
            f"disk space must hold {_gigabytes(left.total_bytes)}, got "
            f"{_gigabytes(shown.disk_free_bytes)} free; free some or set RANKSCOPE_HOME elsewhere"
        )
    multiple = subject.config.lora.rank_multiple
    is_half = subject.config.training.precision != "fp32"
    if shown.kind == "cuda" and is_half and multiple % _GPU_MULTIPLE:
        yield (
            f"ranks in multiples of {_GPU_MULTIPLE} are faster on a GPU in 16 bits, got "
            f"{multiple}; set lora.rank_multiple: {_GPU_MULTIPLE}"
        )


def _remedy(subject: Subject, estimate: MemoryEstimate) -> str:
    fixed = estimate.base_weights_bytes + estimate.gradients_bytes + estimate.optimizer_bytes
    if fixed > estimate.total_bytes / 2:
        return "take a smaller model, precision or budget, or a larger machine"
    if estimate.scoring_bytes > estimate.activations_bytes:
        return "lower evaluation.batch_size or the scheduler's probe items"
    if not subject.checkpointing:
        return "lower training.batch_size or set model.gradient_checkpointing"
    return "lower training.batch_size or the length of rows"


def _gigabytes(number: int) -> str:
    return f"{number / 1e9:,.1f} GB"
