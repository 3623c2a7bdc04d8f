"""Small made-up configs, inventories, runs and events."""

import subprocess
import sys
from typing import Literal

from sqlalchemy import Engine

from rankscope.models.config import RunConfig
from rankscope.models.events import (
    CheckpointSaved,
    Decided,
    Evaluated,
    EvaluationKind,
    EvaluationPart,
    Failed,
    Measured,
    ParamsSampled,
    RanksChanged,
    Resumed,
    RunStatus,
    StatusChanged,
    StepDone,
)
from rankscope.models.inventory import AdaptableModule, Inventory
from rankscope.models.reading import parse_config
from rankscope.models.schedulers.contract import (
    Apply,
    Measure,
    ModuleState,
    ProbeLoss,
    ProbeLossResult,
    Reason,
    View,
)
from rankscope.storage.runs import begin_attempt, create_run, set_inventory
from rankscope.storage.sink import Sink

T0 = 1_800_000_000.0


def config(**changes: object) -> RunConfig:
    return parse_config({"data": {"kind": "easy_vqa"}, **changes})


def inventory(num_modules: int = 3) -> Inventory:
    modules = tuple(
        AdaptableModule(
            name=f"model.layers.{i}.q_proj",
            part="language",
            layer=i,
            type="q_proj",
            d_in=8,
            d_out=8,
        )
        for i in range(num_modules)
    )
    return Inventory(modules=modules, total_params=1000)


def new_run(engine: Engine, **changes: object) -> str:
    run_id = create_run(engine, config(**changes), origin="foreground", owner="ada")
    set_inventory(engine, run_id, inventory(), budget_params=64)
    return run_id


def new_sink(engine: Engine, run_id: str, *, flush_s: float = 0.05, lease_s: float = 30.0) -> Sink:
    attempt = begin_attempt(engine, run_id, worker_id="w", lease_s=lease_s)
    return Sink(engine, run_id, attempt, inventory(), flush_s=flush_s, lease_s=lease_s)


def status(status: RunStatus, step: int = 0, reason: str = "") -> StatusChanged:
    return StatusChanged(step=step, time=T0 + step, status=status, reason=reason)


def step_done(step: int, loss: float = 1.5) -> StepDone:
    return StepDone(step=step, time=T0 + step, loss=loss, lr=0.01, grad_norm=None, step_s=0.25)


def ranks_changed(
    step: int,
    ranks: dict[int, int],
    *,
    cause: Literal["start", "scheduler", "observed"] = "scheduler",
    moved: int = 16,
    live: int = 48,
) -> RanksChanged:
    named = {f"model.layers.{index}.q_proj": rank for index, rank in ranks.items()}
    return RanksChanged(
        step=step, time=T0 + step, ranks=named, cause=cause, moved_params=moved, live_params=live
    )


def sampled(step: int, live: int, sample: int = 0) -> ParamsSampled:
    return ParamsSampled(step=step, time=T0 + step, live_params=live, sample=sample)


def evaluated(
    step: int,
    correct: list[bool],
    when: EvaluationKind = "after",
    part: EvaluationPart = "test",
) -> Evaluated:
    return Evaluated(
        step=step,
        time=T0 + step,
        part=part,
        when=when,
        accuracy=sum(correct) / len(correct),
        accuracy_by_skill={"shape": 1.0, "colour": 0.5},
        correct=tuple(correct),
        loss=0.25,
        duration_s=0.5,
    )


def decided(step: int) -> Decided:
    states = tuple(
        ModuleState(
            **module.model_dump(), rank=2, min_rank=0, max_rank=8, saliency=(0.5, float("nan"))
        )
        for module in inventory().modules
    )
    name = states[0].name
    view = View(
        step=step, num_steps=150, budget=64, seed=0, modules=states, train_loss=float("inf")
    )
    decision = Apply(ranks={name: 3}, reasons={name: Reason(text="gains")}, reason="sure")
    return Decided(step=step, time=T0 + step, view=view, decision=decision)


def failed(step: int, reason: str) -> Decided:
    return Decided(
        step=step, time=T0 + step, view=decided(step).view, decision=Failed(reason=reason)
    )


def measured(step: int, cost_s: float = 0.5) -> Measured:
    return Measured(
        step=step,
        time=T0 + step,
        request=Measure(requests=(ProbeLoss(num_items=8),)),
        results=(ProbeLossResult(loss=float("nan"), loss_se=0.5),),
        cost_s=cost_s,
        cost_items=8,
    )


def checkpoint(step: int) -> CheckpointSaved:
    return CheckpointSaved(
        step=step, time=T0 + step, path=f"checkpoints/step-{step}", size_bytes=100
    )


def resumed(step: int, attempt: int, *, from_start: bool = False) -> Resumed:
    return Resumed(step=step, time=T0 + step, attempt=attempt, from_start=from_start)


def in_processes(code: str, arguments: list[list[str]]) -> list[str]:
    """Run code in several processes that act at one moment; returns what each printed after it.

    The code finds its arguments in ``sys.argv[1:]`` and calls ``wait()`` before what shall race.
    """
    prelude = "import sys\ndef wait(): print('ready', flush=True); sys.stdin.readline()\n"
    command = [sys.executable, "-c", prelude + code]
    pipe = subprocess.PIPE
    processes = [
        subprocess.Popen([*command, *some], stdin=pipe, stdout=pipe, text=True)
        for some in arguments
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    printed = [process.communicate(timeout=60)[0].strip() for process in processes]
    assert [process.returncode for process in processes] == [0] * len(processes)
    return printed
