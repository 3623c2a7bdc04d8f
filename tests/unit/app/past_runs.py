"""Four short runs as a database remembers them, written through the storage API."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Engine

from rankscope.models.events import (
    Decided,
    Evaluated,
    Event,
    Measured,
    ParamsSampled,
    RanksChanged,
    StatusChanged,
    StepDone,
)
from rankscope.models.inventory import AdaptableModule, Inventory
from rankscope.models.reading import parse_config
from rankscope.models.schedulers.contract import (
    Apply,
    GradientEnergy,
    GradientEnergyResult,
    Keep,
    Measure,
    ModuleState,
    View,
)
from rankscope.storage.artifacts import RunFolder
from rankscope.storage.database import migrate, open_database
from rankscope.storage.runs import begin_attempt, create_run, set_inventory
from rankscope.storage.settings import Settings
from rankscope.storage.sink import Sink

T0 = 1_800_000_000.0
Q, UP = "model.layers.0.q_proj", "model.layers.0.up_proj"
INVENTORY = Inventory(
    modules=(
        AdaptableModule(name=Q, part="language", layer=0, type="q_proj", d_in=8, d_out=8),
        AdaptableModule(name=UP, part="language", layer=0, type="up_proj", d_in=8, d_out=8),
    ),
    total_params=1000,
)
"""16 parameters per rank each."""


@dataclass(frozen=True)
class PastRuns:
    """Where they are, and their ids: uniform and static, each with seeds 0 and 1."""

    home: Path
    uniform: tuple[str, str]
    static: tuple[str, str]


def record_runs(home: Path) -> PastRuns:
    """Of ten test items uniform gets 6 and 8 right by seed, static one more in both."""
    settings = Settings(rankscope_home=home, database_url=f"sqlite:///{home}/rankscope.db")
    engine = open_database(settings.database_url)
    migrate(engine)
    moved = Apply(ranks={Q: 0, UP: 2}, reason="mlp only")
    ids = {
        (kind, seed): _run(engine, settings, kind, seed, num_correct + seed * 2, decision)
        for kind, num_correct, decision in (
            ("uniform", 6, Keep(reason="uniform ranks are kept")),
            ("static", 7, moved),
        )
        for seed in (0, 1)
    }
    engine.dispose()
    return PastRuns(
        home,
        uniform=(ids["uniform", 0], ids["uniform", 1]),
        static=(ids["static", 0], ids["static", 1]),
    )


def _run(
    engine: Engine,
    settings: Settings,
    kind: str,
    seed: int,
    num_correct: int,
    decision: Keep | Apply,
) -> str:
    raw: dict[str, Any] = {
        "name": f"{kind} & co",
        "tags": [kind],
        "seed": seed,
        "data": {"kind": "easy_vqa"},
        "scheduler": {"kind": kind},
        "training": {"steps": 2},
    }
    run_id = create_run(engine, parse_config(raw), origin="foreground", owner="ada")
    set_inventory(engine, run_id, INVENTORY, budget_params=32)
    attempt = begin_attempt(engine, run_id, worker_id=None, lease_s=30.0)
    with Sink(engine, run_id, attempt, INVENTORY, flush_s=0.01) as sink:
        for event in _events(decision, num_correct):
            sink.emit(event)
    folder = RunFolder(settings, run_id)
    folder.make()
    folder.log_path.write_text(f"[bold]{kind}[/bold] began\nand ended\n", encoding="utf-8")
    return run_id


def _events(decision: Keep | Apply, num_correct: int) -> list[Event]:
    view = View(
        step=0,
        num_steps=2,
        budget=32,
        seed=0,
        modules=tuple(
            ModuleState(**module.model_dump(), rank=1, min_rank=0, max_rank=8)
            for module in INVENTORY.modules
        ),
    )
    energy = GradientEnergyResult(energy={Q: 1.0, UP: 9.0})
    asked = Measure(requests=(GradientEnergy(num_items=4),))
    events: list[Event] = [
        StatusChanged(step=0, time=T0, status="running"),
        RanksChanged(
            step=0, time=T0, ranks={Q: 1, UP: 1}, cause="start", moved_params=0, live_params=32
        ),
        ParamsSampled(step=0, time=T0, live_params=32, sample=0),
        Measured(step=0, time=T0, request=asked, results=(energy,), cost_s=0.5, cost_items=12),
        Decided(step=0, time=T0, view=view, decision=decision),
        StepDone(step=1, time=T0 + 1, loss=1.5, lr=0.01, step_s=0.5),
        StepDone(step=2, time=T0 + 2, loss=1.25, lr=0.01, step_s=0.5),
        Evaluated(
            step=2,
            time=T0 + 2,
            part="test",
            when="after",
            accuracy=num_correct / 10,
            accuracy_by_skill={"shape": num_correct / 10},
            correct=tuple(i < num_correct for i in range(10)),
            duration_s=0.5,
        ),
        StatusChanged(step=2, time=T0 + 3, status="done"),
    ]
    if isinstance(decision, Apply):
        move = RanksChanged(
            step=1,
            time=T0 + 1,
            ranks=decision.ranks,
            cause="scheduler",
            moved_params=16,
            live_params=32,
        )
        events.insert(6, move)
    return events
