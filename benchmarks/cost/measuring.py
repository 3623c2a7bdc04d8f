"""One case, measured in a process of its own: kept bytes, resident memory and time of a step."""

import resource
import statistics
import time
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil
import torch
from torch import Tensor

from benchmarks.cost.models import MODELS
from rankscope.models.cost.activations import Activations, Batch, Trained, activations
from rankscope.models.cost.formats import (
    BasePrecision,
    Formats,
    NumberFormat,
    formats_of,
    number_format_of,
)
from rankscope.models.cost.memory import MemoryEstimate, memory
from rankscope.models.cost.pace import Speed, seconds
from rankscope.models.cost.work import step
from rankscope.models.inventory import Linears, Part, place_of
from rankscope.models.lora.elastic import ElasticLora
from rankscope.models.lora.inventory import list_linears
from rankscope.tasks.speed import measure

_DTYPES: dict[BasePrecision, torch.dtype] = {"fp32": torch.float32, "bf16": torch.bfloat16}
TARGETS = "q_proj|k_proj|v_proj|o_proj|gate_proj|up_proj|down_proj|fc1|fc2|out_proj"


@dataclass(frozen=True)
class Case:
    """What is trained, and how."""

    model: str
    rows: int
    tokens: int
    rank: int = 4
    base: BasePrecision = "fp32"
    training: NumberFormat = "fp32"
    checkpointing: bool = False
    parts: tuple[Part, ...] = ("language",)
    full_parts: tuple[Part, ...] = ()
    steps: int = 5

    def __str__(self) -> str:
        what = [f"{self.rows} x {self.tokens} tokens", f"base {self.base}", f"in {self.training}"]
        if self.checkpointing:
            what.append("checkpointing")
        if self.parts != ("language",):
            what.append(f"adapters on {', '.join(self.parts)}")
        if self.full_parts:
            what.append(f"{', '.join(self.full_parts)} in full")
        return f"{self.model}, {', '.join(what)}"


def measured(case: Case) -> dict[str, Any]:
    """Figures of a case, predicted and measured; bytes and seconds."""
    ready = _ready(case)
    told = measure(torch.device("cpu"), number_format_of(_formats(case)), name="here")
    speed = Speed(flops_per_s=told.flops_per_s, call_s=told.call_s, basis="measured")
    kept = kept_bytes(ready.model, ready.batch, case.training)
    step_s, resident = _steps(ready.model, ready.batch, case)
    return {
        "case": asdict(case) | {"name": str(case)},
        "params": ready.linears.total_params,
        "predicted": _predicted(case, ready, speed),
        "measured": {"kept_bytes": kept, "resident_bytes": resident, "step_s": step_s},
        "speed": {"gflops_per_s": speed.flops_per_s / 1e9, "call_us": speed.call_s * 1e6},
    }


def counted(case: Case) -> tuple[int, int]:
    """Bytes kept for backward: predicted, and counted in autograd."""
    ready = _ready(case)
    kept, sums = _sums(case, ready)
    return kept.kept + sums.weight_copies_bytes, kept_bytes(ready.model, ready.batch, case.training)


@dataclass(frozen=True)
class _Ready:
    model: torch.nn.Module
    linears: Linears
    ranks: dict[str, int]
    batch: dict[str, Tensor]


def _ready(case: Case) -> _Ready:
    made = MODELS[case.model]()
    torch.nn.Module.to(made.model, _DTYPES[case.base])
    linears = list_linears(made.model).model_copy(update={"sizes": made.sizes})
    inventory = linears.select(TARGETS, frozenset(case.parts))
    ranks = {module.name: case.rank for module in inventory.modules}
    if case.checkpointing:
        made.model.activation_checkpointing_enable()
    model = ElasticLora(made.model, inventory, ranks, scale=1.0, seed=0).peft_model
    for name, parameter in model.named_parameters():
        if place_of(name)[0] in case.full_parts:
            parameter.requires_grad_(True)
    model.train()
    batch = made.batch(case.rows, case.tokens)
    batch["pixel_values"] = batch["pixel_values"].to(_DTYPES[case.base])
    return _Ready(model, linears, ranks, batch)


def kept_bytes(model: torch.nn.Module, batch: dict[str, Tensor], training: str) -> int:
    """Bytes of storages that autograd keeps for backward, parameters left out, each once."""
    own = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
    kept: dict[int, Tensor] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = tensor  # held, so that no other takes its place
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        _loss(model, batch, training)
    return sum(tensor.untyped_storage().nbytes() for tensor in kept.values())


def _loss(model: torch.nn.Module, batch: dict[str, Tensor], training: str) -> Tensor:
    cast = torch.autocast("cpu", torch.bfloat16) if training == "bf16" else nullcontext()
    with cast:
        loss: Tensor = model(**batch).loss
    return loss


def _steps(model: torch.nn.Module, batch: dict[str, Tensor], case: Case) -> tuple[float, int]:
    """Median processor time of a step, and the most resident memory beyond what stood before.

    Processor time of one thread is what an idle machine takes; others use this one too.
    """
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, fused=True)
    _reset_peak()
    before = psutil.Process().memory_info().rss
    times = []
    for _ in range(case.steps + 1):
        started = time.process_time()
        torch.autograd.backward(_loss(model, batch, case.training))
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        optimizer.zero_grad()
        times.append(time.process_time() - started)
    return statistics.median(times[1:]), _peak() - before


def _reset_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def _peak() -> int:
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _formats(case: Case) -> Formats:
    return formats_of(case.base, case.training)


def _sums(case: Case, ready: _Ready) -> tuple[Activations, MemoryEstimate]:
    linears = ready.linears
    assert linears.sizes is not None
    trained, formats = _trained(case, ready), _formats(case)
    kept = activations(
        linears.modules,
        linears.sizes,
        trained,
        formats,
        Batch(case.rows, case.tokens, case.rows),
        checkpointing=case.checkpointing,
    )
    sums = memory(
        linears,
        trained,
        formats,
        adapter_params=sum(m.cost * ready.ranks.get(m.name, 0) for m in linears.modules),
        kept=kept,
        scoring_bytes=0,
        checkpointing=case.checkpointing,
        on_cpu=True,
    )
    return kept, sums


def _trained(case: Case, ready: _Ready) -> Trained:
    return Trained(ready.ranks, full_parts=frozenset(case.full_parts))


def _predicted(case: Case, ready: _Ready, speed: Speed) -> dict[str, float]:
    kept, sums = _sums(case, ready)
    batch = Batch(case.rows, case.tokens, case.rows)
    work = step(
        ready.linears,
        _trained(case, ready),
        batch,
        num_batches=1,
        checkpointing=case.checkpointing,
    )
    span = seconds(work, work, speed)
    stands = sums.libraries_bytes + sums.base_weights_bytes + sums.adapters_bytes
    return {
        "kept_bytes": kept.kept + sums.weight_copies_bytes,
        "resident_bytes": sums.total_bytes - stands,
        "step_low_s": span.low,
        "step_high_s": span.high,
        "gflop": work.flops / 1e9,
        "calls": work.calls,
    }
