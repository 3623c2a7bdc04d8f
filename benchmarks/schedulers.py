"""Schedulers at one budget: ``python -m benchmarks.schedulers --preset standard``.

Every run is a run of the product, recorded in a database of its own under ``--home``; what is
already done is not run again. Each arm's learning rate is chosen on validation (one seed, the same
number of trials for every arm), then every arm runs on test with the seeds of the protocol. The
last line of stdout is a JSON object; the table stands above it.
"""

import argparse
import copy
import json
import multiprocessing
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from sqlalchemy import Engine

from rankscope.models.config import RunConfig
from rankscope.models.reading import parse_config
from rankscope.storage import history
from rankscope.storage.comparison import compare
from rankscope.storage.database import migrate, open_database
from rankscope.storage.runs import begin_attempt, create_run, get_run, set_inventory
from rankscope.storage.settings import Settings
from rankscope.tasks.client import inventory_of
from rankscope.tasks.settings import WorkerSettings

PROTOCOL = Path(__file__).with_suffix(".yaml")


@dataclass(frozen=True)
class Cell:
    """One arm on one task at one learning rate and seed."""

    task: str
    arm: str
    rate: float
    seed: int


class Protocol:
    """What is compared: the YAML file, narrowed to a preset."""

    def __init__(self, preset: str) -> None:
        self._raw: dict[str, Any] = yaml.safe_load(PROTOCOL.read_text(encoding="utf-8"))
        self._preset: dict[str, Any] = self._raw["presets"][preset]
        self.seeds: list[int] = self._preset.get("seeds", self._raw["seeds"])
        self.tasks: list[str] = self._preset.get("tasks", list(self._raw["tasks"]))
        self.arms: list[str] = list(self._raw["arms"])

    def rates(self, arm: str) -> list[float]:
        """Learning rates to choose from; an untuned preset takes the second lowest."""
        rates: list[float] = self._raw["arms"][arm].get("rates", self._raw["rates"])
        return rates if self._preset.get("tuned", True) else [rates[1]]

    def tuning_cells(self) -> list[Cell]:
        """The trials on validation; none where there is nothing to choose."""
        return [
            Cell(task, arm, rate, self._raw["tuning_seed"])
            for task in self.tasks
            for arm in self.arms
            if len(self.rates(arm)) > 1
            for rate in self.rates(arm)
        ]

    def test_cells(self, chosen: Mapping[tuple[str, str], float]) -> list[Cell]:
        """The runs that count, seed by seed so that an unfinished benchmark is balanced."""
        return [
            Cell(task, arm, chosen[task, arm], seed)
            for seed in self.seeds
            for task in self.tasks
            for arm in self.arms
        ]

    def config(self, cell: Cell) -> RunConfig:
        """The run of a cell."""
        arm = {k: v for k, v in self._raw["arms"][cell.arm].items() if k != "rates"}
        raw = _merged(self._raw["common"], self._raw["tasks"][cell.task], arm)
        raw = _merged(raw, {"optimizer": {"lr": cell.rate}})
        if cell.seed == self._raw["tuning_seed"]:
            raw = _merged(raw, self._raw["tuning"])
        return parse_config(raw | {"seed": cell.seed, "name": f"{cell.task}: {cell.arm}"})


class Runner:
    """Runs cells in processes that import torch once, and remembers which run is which cell."""

    def __init__(self, protocol: Protocol, settings: Settings, engine: Engine, jobs: int) -> None:
        self._protocol = protocol
        self._settings = settings
        self._engine = engine
        self._jobs = jobs

    def run(self, title: str, cells: Sequence[Cell]) -> dict[Cell, str]:
        """Run what is not done; returns the run of every cell."""
        runs = {cell: self._row(self._protocol.config(cell)) for cell in cells}
        left = [run for run in runs.values() if get_run(self._engine, run).status != "done"]
        context = multiprocessing.get_context("spawn")
        with (
            context.Pool(self._jobs, _prepare) as pool,
            Progress(
                "{task.description}",
                BarColumn(),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                "ETA",
                TimeRemainingColumn(),
                console=Console(stderr=True),
            ) as progress,
        ):
            task = progress.add_task(title, total=len(runs), completed=len(runs) - len(left))
            arguments = [(self._settings, run) for run in left]
            for run, status in pool.imap_unordered(_train, arguments):
                progress.advance(task)
                if status != "done":
                    reason = get_run(self._engine, run).status_reason
                    raise RuntimeError(f"run {run} ended as {status}: {reason}")
        return runs

    def _row(self, config: RunConfig) -> str:
        """The run of a configuration: the same one whenever the benchmark is started again."""
        run = create_run(
            self._engine,
            config,
            origin="external",
            owner="benchmark",
            idempotency_key=config.hash(),
        )
        inventory = inventory_of(config)
        set_inventory(self._engine, run, inventory, budget_params=config.budget.params(inventory))
        return run


def choose_rates(
    engine: Engine, protocol: Protocol, trials: Mapping[Cell, str]
) -> dict[tuple[str, str], float]:
    """Per task and arm, the learning rate that scored best on validation; ties go to the lower."""
    chosen = {
        (task, arm): protocol.rates(arm)[0] for task in protocol.tasks for arm in protocol.arms
    }
    best: dict[tuple[str, str], float] = {}
    for cell, run in sorted(trials.items(), key=lambda item: item[0].rate):
        score = history.summary(engine, run).accuracy_validation
        assert score is not None
        if score > best.get((cell.task, cell.arm), -1.0):
            best[cell.task, cell.arm] = score
            chosen[cell.task, cell.arm] = cell.rate
    return chosen


def results_of(
    engine: Engine, protocol: Protocol, runs: Mapping[Cell, str]
) -> list[dict[str, Any]]:
    """One row per task and arm: mean accuracy on test, its interval, and the pair with uniform."""
    rows = []
    for task in protocol.tasks:
        by_arm = {
            arm: [run for cell, run in runs.items() if (cell.task, cell.arm) == (task, arm)]
            for arm in protocol.arms
        }
        for arm, mine in by_arm.items():
            baseline = by_arm["uniform"]
            compared = compare(engine, [*baseline, *mine], baseline=baseline[0])
            row = next(r for r in compared.rows.to_dict("records") if set(r["runs"]) == set(mine))
            pairs = compared.paired.to_dict("records")
            summaries = [history.summary(engine, run) for run in mine]
            rows.append(
                {
                    "task": task,
                    "arm": arm,
                    "lr": next(c.rate for c in runs if (c.task, c.arm) == (task, arm)),
                    "seeds": row["num_seeds"],
                    "items": row["num_items"],
                    "accuracy": row["accuracy"],
                    "ci95": [row["low"], row["high"]],
                    "basis": row["basis"],
                    "vs_uniform": pairs[0]["difference"] if pairs else 0.0,
                    "vs_uniform_ci95": [pairs[0]["low"], pairs[0]["high"]] if pairs else [0.0, 0.0],
                    "accuracy_before": summaries[0].accuracy_before,
                    "budget_params": summaries[0].budget_params,
                    "max_live_params": max(s.max_live_params or 0 for s in summaries),
                    "rank_events": [s.rank_events for s in summaries],
                    "measurement_s": sum(s.measurement_s for s in summaries) / len(summaries),
                    "wall_s": sum(s.wall_s or 0.0 for s in summaries) / len(summaries),
                }
            )
    return rows


def table_of(rows: Sequence[Mapping[str, Any]]) -> str:
    """The rows as Markdown; accuracies in percent, differences in points."""
    lines = [
        "| task | scheduler | lr | accuracy [95 % CI] | vs uniform [95 % CI] "
        "| live at most | seeds |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        low, high = (100 * bound for bound in row["ci95"])
        below, above = (100 * bound for bound in row["vs_uniform_ci95"])
        versus = f"{100 * row['vs_uniform']:+.1f} [{below:+.1f}, {above:+.1f}]"
        lines.append(
            f"| {row['task']} | {row['arm']} | {row['lr']:g} "
            f"| {100 * row['accuracy']:.1f} [{low:.1f}, {high:.1f}] "
            f"| {'–' if row['arm'] == 'uniform' else versus} "
            f"| {row['max_live_params']:,} | {row['seeds']} |"
        )
    return "\n".join(lines)


def _merged(*parts: Mapping[str, Any]) -> dict[str, Any]:
    """Nested mappings put together, the later ones on top."""
    merged: dict[str, Any] = {}
    for part in parts:
        for key, value in copy.deepcopy(dict(part)).items():
            both = isinstance(value, dict) and isinstance(merged.get(key), dict)
            merged[key] = _merged(merged[key], value) if both and "kind" not in value else value
    return merged


def _prepare() -> None:
    os.environ |= {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    sys.stdout = sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115 - for the process's life
    import torch

    torch.set_num_threads(1)


def _train(job: tuple[Settings, str]) -> tuple[str, str]:
    from rankscope.tasks.trainer import train

    settings, run = job
    engine = open_database(settings.database_url)
    lease_s = WorkerSettings().lease_s
    attempt = begin_attempt(engine, run, worker_id=None, lease_s=lease_s)
    return run, train(engine, settings, run, attempt, lease_s=lease_s)


def main() -> None:
    """Run the preset and print its table and one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--preset", choices=["quick", "standard"], default="standard")
    parser.add_argument("--home", type=Path, default=Path("runs") / "benchmark")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    arguments = parser.parse_args()
    os.environ.pop("DATABASE_URL", None)
    os.environ["OMP_NUM_THREADS"] = "1"
    settings = Settings(rankscope_home=arguments.home.resolve())
    engine = open_database(settings.database_url)
    migrate(engine)
    protocol = Protocol(arguments.preset)
    runner = Runner(protocol, settings, engine, arguments.jobs)
    trials = runner.run("tuning on validation", protocol.tuning_cells())
    runs = runner.run("test", protocol.test_cells(choose_rates(engine, protocol, trials)))
    rows = results_of(engine, protocol, runs)
    violations = sum(
        row["max_live_params"] > row["budget_params"]
        for row in rows
        if row["arm"] not in ("adalora", "full")
    )
    print(table_of(rows))
    print(json.dumps({"preset": arguments.preset, "budget_violations": violations, "rows": rows}))


if __name__ == "__main__":
    main()
