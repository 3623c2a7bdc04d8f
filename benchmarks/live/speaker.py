"""A run that speaks at a steady rate through a real sink, in a process of its own.

``python -m benchmarks.live.speaker RUN`` until terminated; the environment says where Redis is.
"""

import itertools
import sys
import time

from sqlalchemy import Engine

from rankscope.models.events import ParamsSampled, RanksChanged, StatusChanged, StepDone
from rankscope.models.inventory import AdaptableModule, Inventory
from rankscope.models.reading import parse_config
from rankscope.storage.database import open_database
from rankscope.storage.runs import begin_attempt, create_run, set_inventory
from rankscope.storage.settings import Settings
from rankscope.storage.sink import Sink
from rankscope.storage.stream import Stream

EVENTS_PER_S = 20.0
EVENTS_PER_CHANGE = 10
"""Every so many events two cells of the map change."""
START_RANK = 8
TYPES = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


def inventory() -> Inventory:
    """30 layers of 7 modules: a map of 210 cells."""
    modules = tuple(
        AdaptableModule(
            name=f"model.layers.{layer}.{kind}",
            part="language",
            layer=layer,
            type=kind,
            d_in=64,
            d_out=64,
        )
        for layer in range(30)
        for kind in TYPES
    )
    return Inventory(modules=modules, total_params=10**6)


def add_run(engine: Engine, name: str, num_steps: int) -> str:
    """A run of those modules that nobody trains."""
    raw = {"name": name, "data": {"kind": "easy_vqa"}, "training": {"steps": num_steps}}
    run_id = create_run(engine, parse_config(raw), origin="external", owner="benchmark")
    set_inventory(engine, run_id, inventory(), budget_params=inventory().params_per_rank)
    return run_id


def begin(engine: Engine, run_id: str, stream: Stream | None) -> Sink:
    """Begin an attempt and tell the first ranks."""
    attempt = begin_attempt(engine, run_id, worker_id=None, lease_s=30)
    modules = inventory()
    sink = Sink(engine, run_id, attempt, modules, stream=stream)
    now = time.time()
    sink.emit(StatusChanged(step=0, time=now, status="running", reason="training"))
    sink.emit(ParamsSampled(step=0, time=now, live_params=0, sample=0))
    ranks = {module.name: START_RANK for module in modules.modules}
    sink.emit(
        RanksChanged(step=0, time=now, ranks=ranks, cause="start", moved_params=0, live_params=1)
    )
    return sink


def step_done(step: int) -> StepDone:
    """A step as the trainer tells it."""
    return StepDone(step=step, time=time.time(), loss=1 / step, lr=1e-3, grad_norm=1.0, step_s=0.05)


def change(step: int) -> RanksChanged:
    """The first cell takes rank 1 to 16 in turn, the second the other way round."""
    rank = 1 + step // EVENTS_PER_CHANGE % 16
    first, second = inventory().modules[:2]
    return RanksChanged(
        step=step,
        time=time.time(),
        ranks={first.name: rank, second.name: 17 - rank},
        cause="scheduler",
        moved_params=128,
        live_params=1,
    )


def main() -> None:
    """Speak until terminated."""
    run_id = sys.argv[1]
    settings = Settings()
    engine = open_database(settings.database_url)
    sink = begin(engine, run_id, Stream(settings.live_url))
    started_s = time.monotonic()
    step = 0
    for number in itertools.count(1):
        time.sleep(max(0.0, started_s + number / EVENTS_PER_S - time.monotonic()))
        if number % EVENTS_PER_CHANGE:
            step += 1
            sink.emit(step_done(step))
        else:
            sink.emit(change(step))


if __name__ == "__main__":
    main()
