"""``rankscope plan``: what a run would do and what it would cost, without training."""

from typing import Any

from rankscope.app.options import AsJson, ConfigPath, Overrides
from rankscope.app.store import open_store
from rankscope.app.terminal import count, out, print_json, print_table
from rankscope.models.cost.pace import Range
from rankscope.models.reading import load_config
from rankscope.storage.settings import Settings
from rankscope.tasks import client

_HOW = {"adapters": "adapters", "full": "trained in full", "frozen": "frozen"}


def plan(config: ConfigPath, overrides: Overrides = None, as_json: AsJson = False) -> None:
    """Show modules, budget, first ranks, memory, time and disk; trains and downloads nothing."""
    wanted, settings = load_config(config, overrides), Settings()
    engine = open_store(settings)
    planned = client.plan(wanted, engine)
    cost = client.cost(wanted, planned, settings, engine)
    if as_json:
        answer: dict[str, Any] = planned.model_dump(mode="json") | cost.model_dump(mode="json")
        print_json(answer)
        return
    _print_ranks(planned)
    out.print(
        f"\nadapters {count(planned.params)} of {count(planned.budget_params)} parameters "
        f"(= rank {planned.equivalent_rank:g} everywhere)\n"
        f"decisions at steps {', '.join(map(str, planned.ranks_decided_at_steps)) or '–'}"
        + (f"; {planned.note}" if planned.note else "")
        + "\n"
    )
    _print_parts(cost, planned.model_note)
    _print_cost(cost)


def _print_ranks(planned: client.Plan) -> None:
    types = list(dict.fromkeys(module.type for module in planned.modules))
    rows: dict[tuple[str, int], dict[str, str]] = {}
    for module in planned.modules:
        rows.setdefault((module.part, module.layer), {})[module.type] = str(module.rank)
    print_table(
        f"First ranks, scheduler {planned.scheduler}",
        ["part", "layer", *types],
        [
            [part, str(layer), *(ranks.get(kind, "") for kind in types)]
            for (part, layer), ranks in rows.items()
        ],
    )


def _print_parts(cost: client.Cost, note: str) -> None:
    rows = [
        [part, count(one.params), count(one.trainable_params), _HOW[one.how]]
        for part, one in cost.parts.items()
    ]
    total = sum(one.params for one in cost.parts.values())
    rows.append(["whole model", count(total), count(cost.trainable_params), ""])
    print_table("Parameters", ["part", "base model", "trained", "how"], rows)
    out.print(f"{note}\n" if note else "")


def _print_cost(cost: client.Cost) -> None:
    memory, disk, machine = cost.memory, cost.disk, cost.machine
    sums = {
        "weights": memory.base_weights_bytes,
        "copies of weights": memory.weight_copies_bytes,
        "adapters": memory.adapters_bytes,
        "gradients": memory.gradients_bytes,
        "optimizer": memory.optimizer_bytes,
        "activations": memory.activations_bytes,
        "scoring instead": memory.scoring_bytes,
        "freed but kept": memory.allocator_bytes,
        "libraries": memory.libraries_bytes,
    }
    parts = ", ".join(f"{name} {_size(number)}" for name, number in sums.items() if number)
    out.print(
        f"memory about {_size(memory.total_bytes)} of {_size(machine.memory_bytes)} "
        f"({machine.name}{_sharers(cost.num_processes)}): {parts}"
    )
    if cost.lengths is not None:
        lengths = cost.lengths
        out.print(
            f"rows of {count(lengths.longest_tokens)} tokens at the most, "
            f"{count(lengths.typical_tokens)} in most batches: {lengths.basis}"
        )
    if cost.time is not None:
        out.print(
            f"time {_span(cost.time.total_s)}, a step {_span(cost.time.step_s)}: {cost.time.basis}"
        )
    out.print(
        f"disk {_size(disk.total_bytes)}: checkpoints of {_size(disk.checkpoint_bytes)} "
        f"({disk.num_checkpoints} kept, one more being written), exported adapter "
        f"{_size(disk.adapter_bytes)}, database about {_size(disk.database_bytes)}"
        + (f", features of pictures {_size(disk.features_bytes)}" if disk.features_bytes else "")
    )
    for warning in cost.warnings:
        out.print(f"warning: {warning}")


def _size(number: float) -> str:
    for unit, scale in (("GB", 1e9), ("MB", 1e6)):
        if number >= scale:
            return f"{number / scale:,.1f} {unit}"
    return f"{number / 1e3:,.1f} kB"


def _span(span: Range) -> str:
    return f"{_duration(span.low)} to {_duration(span.high)}"


def _duration(seconds: float) -> str:
    scales = ((86_400, "d"), (3_600, "h"), (60, "min"))
    scale, unit = next(((n, u) for n, u in scales if seconds >= 2 * n), (1, "s"))
    shown = seconds / scale
    return f"{shown:,.0f} {unit}" if shown >= 10 else f"{shown:.2g} {unit}"


def _sharers(num_processes: int) -> str:
    return f", each of {num_processes} processes" if num_processes > 1 else ""
