"""A training step with compiled layers, and in two processes: ``python -m benchmarks.steps``.

Each against the plain step, in turns on the same machine. Compiled code is made anew, in an empty
cache. Prints a table and, as the last line, JSON; ``--keep`` writes benchmarks/results/steps.json.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.cost.models import MODELS
from rankscope.models.lora.elastic import ElasticLora
from rankscope.models.lora.inventory import list_linears
from rankscope.storage import history
from rankscope.storage.database import open_database
from rankscope.storage.settings import Settings
from rankscope.tasks.compiling import compile_layers

COMPILED = {"embedded": (32, 16), "middle MobileVLM": (4, 256)}
"""Rows and tokens of a batch, by model."""
PROCESSES = {
    "easy_vqa, batches of 16": ("{kind: easy_vqa}", 16),
    "easy_vqa, batches of 64": ("{kind: easy_vqa}", 64),
}
"""Data and batch size of runs of the embedded model."""
TARGETS = "q_proj|k_proj|v_proj|o_proj|gate_proj|up_proj|down_proj"
RANK = 4
ROUNDS = 15
RUNS = 3
RESULT = Path(__file__).parent / "results" / "steps.json"


def main() -> int:
    """Measure everything, or the compiled model that stands in the arguments."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keep", action="store_true", help="write benchmarks/results/steps.json")
    parser.add_argument("--model", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.model is not None:
        print(json.dumps(compiled(arguments.model)))
        return 0
    answer = {
        "compiled": [_in_a_process(name) for name in COMPILED],
        "processes": [in_processes(name) for name in PROCESSES],
        "threads": torch.get_num_threads(),
        "load": os.getloadavg()[0],
    }
    print(table(answer))
    if arguments.keep:
        RESULT.write_text(json.dumps(answer, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(answer))
    return 0


def compiled(name: str) -> dict[str, Any]:
    """Seconds of a step, plain and compiled, and of compiling: at first and after a rank event."""
    rows, tokens = COMPILED[name]
    batch = MODELS[name]().batch(rows, tokens)
    plain, ours = _adapted(name), _adapted(name)
    compile_layers(ours.peft_model.get_submodule("base_model.model"), ours.inventory)
    first_s = _timed(ours.peft_model, batch)
    before = _in_turns(plain.peft_model, ours.peft_model, batch)
    for elastic in (plain, ours):
        _move(elastic)
    event_s = _timed(ours.peft_model, batch)
    after = _in_turns(plain.peft_model, ours.peft_model, batch)
    return {
        "name": f"{name}, {rows} x {tokens} tokens",
        "plain_s": before[0],
        "compiled_s": before[1],
        "ratio": before[1] / before[0],
        "ratio_after_event": after[1] / after[0],
        "compiling_s": first_s - before[1],
        "compiling_after_event_s": event_s - after[1],
    }


def in_processes(name: str) -> dict[str, Any]:
    """Median seconds of a step of whole runs, in one process and in two."""
    data, batch_size = PROCESSES[name]
    steps_s: dict[int, list[float]] = {1: [], 2: []}
    with tempfile.TemporaryDirectory() as home:
        for _ in range(RUNS):
            for number, seen in steps_s.items():
                seen.append(_median_step_s(home, data, batch_size, number))
    one, two = (statistics.median(seen) for seen in steps_s.values())
    return {"name": name, "one_s": one, "two_s": two, "ratio": two / one}


def table(answer: dict[str, Any]) -> str:
    """Both tables in Markdown."""
    lines = [
        "| model | plain, ms | compiled | after a rank event | compiling, s | after the event, s |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {row['name']} | {1000 * row['plain_s']:.0f} | x {row['ratio']:.2f} | "
        f"x {row['ratio_after_event']:.2f} | {row['compiling_s']:.0f} | "
        f"{row['compiling_after_event_s']:.0f} |"
        for row in answer["compiled"]
    ]
    lines += ["", "| run | one process, ms | two processes |", "|---|---|---|"]
    lines += [
        f"| {row['name']} | {1000 * row['one_s']:.0f} | x {row['ratio']:.2f} |"
        for row in answer["processes"]
    ]
    return "\n".join(lines)


def _adapted(name: str) -> ElasticLora:
    made = MODELS[name]()
    inventory = list_linears(made.model).select(TARGETS, frozenset(["language"]))
    ranks = {module.name: RANK for module in inventory.modules}
    elastic = ElasticLora(made.model, inventory, ranks, scale=1.0, seed=0)
    elastic.peft_model.train()
    return elastic


def _move(elastic: ElasticLora) -> None:
    """A rank event: every second module gives up ranks to none."""
    ranks = elastic.ranks()
    budget = elastic.live_params()
    fewer = {name: RANK - 1 - at % RANK for at, name in enumerate(list(ranks)[::2])}
    elastic.resize(ranks | fewer, None, budget=budget)


def _in_turns(plain: nn.Module, ours: nn.Module, batch: dict[str, Tensor]) -> tuple[float, float]:
    pairs = [(_timed(plain, batch), _timed(ours, batch)) for _ in range(ROUNDS)]
    plain_s, ours_s = zip(*pairs, strict=True)
    return statistics.median(plain_s), statistics.median(ours_s)


def _timed(model: nn.Module, batch: dict[str, Tensor]) -> float:
    started_s = time.perf_counter()
    model(**batch).loss.backward()
    for parameter in model.parameters():
        parameter.grad = None
    return time.perf_counter() - started_s


def _median_step_s(home: str, data: str, batch_size: int, num_processes: int) -> float:
    config = Path(home) / "run.yaml"
    config.write_text(
        f"data: {data}\n"
        "scheduler: {kind: uniform}\n"
        f"training: {{steps: 60, batch_size: {batch_size}, num_processes: {num_processes}}}\n"
        "evaluation: {every_steps: 1000, validation_items: 0, test_items: 0}\n",
        encoding="utf-8",
    )
    settings = Settings(rankscope_home=Path(home))
    command = [sys.executable, "-P", "-m", "rankscope.app", "run", str(config), "--json"]
    environment = os.environ | {"RANKSCOPE_HOME": home}
    told = json.loads(_last_line(command, environment))
    engine = open_database(settings.database_url)
    step_s = history.metrics(engine, told["run"])["step_s"]
    engine.dispose()
    return float(step_s.median())


def _in_a_process(name: str) -> dict[str, Any]:
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.steps", "--model", name]
    with tempfile.TemporaryDirectory() as cache:
        environment = os.environ | {"TORCHINDUCTOR_CACHE_DIR": cache}
        answer: dict[str, Any] = json.loads(_last_line(command, environment))
    return answer


def _last_line(command: list[str], environment: dict[str, str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    return done.stdout.splitlines()[-1]


if __name__ == "__main__":
    sys.exit(main())
