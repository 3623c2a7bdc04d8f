"""From a preset's name to its runs, its result and its table."""

import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.science import results, tuning
from benchmarks.science.protocol import (
    Cell,
    Preset,
    Protocol,
    ProtocolError,
    read_protocol,
)
from benchmarks.science.records import Record, record_of
from benchmarks.science.runner import Runner
from benchmarks.science.winners import read_winners, write_winners
from rankscope.models.config import RunConfig
from rankscope.storage.database import migrate, open_database
from rankscope.storage.settings import Settings

ROOT = Path(__file__).parents[2]
SIZE_PX = 48
"""Side of the embedded model's pictures; which item asks about which does not depend on it."""


@dataclass(frozen=True)
class Options:
    """What was asked for on the command line; None takes the preset's."""

    preset: str
    home: Path
    jobs: int
    arms: Sequence[str] | None = None
    tasks: Sequence[str] | None = None
    again: frozenset[str] = frozenset()
    saves: bool = False


def run_preset(options: Options) -> tuple[str, dict[str, Any]]:
    """Run a preset to its end; returns its table and its JSON object.

    Raises:
        ProtocolError: It may not be run so.
        ConfigError: A configuration does not parse.
    """
    protocol, _ = read_protocol()
    preset = protocol.presets[options.preset]
    tasks = _tasks(protocol, preset, options.tasks)
    arms = options.arms or preset.arms
    unknown = [arm for arm in (*arms, *options.again) if arm not in protocol.arms]
    if unknown:
        raise ProtocolError(
            f"an arm must stand in benchmarks/protocol.yaml, got {unknown[0]!r}; add it there"
        )
    if options.preset == "tune":
        return _tune(protocol, options, tasks, arms)
    return _compare(protocol, options, tasks, arms)


def _tune(
    protocol: Protocol, options: Options, tasks: Sequence[str], arms: Sequence[str]
) -> tuple[str, dict[str, Any]]:
    commit = _commit()
    cells = tuning.tuning_cells(protocol, tasks, arms)
    configs = {cell: protocol.config(cell, {}, tags=[f"commit {commit}"]) for cell in cells}
    records = _run(options, configs)
    chosen = tuning.choose(protocol, records)
    winners, _ = read_winners()
    _, sha256 = read_protocol()
    date = datetime.now(UTC).isoformat(timespec="seconds")
    winners = winners.with_chosen(chosen, protocol_sha256=sha256, commit=commit, date=date)
    write_winners(winners)
    answer = {
        "preset": "tune",
        "tasks": {
            task: {arm: chosen[arm, task].model_dump() for arm, t in chosen if t == task}
            for task in tasks
        },
        "budget_violations": num_violations(protocol, records),
    }
    return tuning.table_of(records, chosen), answer


def _compare(
    protocol: Protocol, options: Options, tasks: Sequence[str], arms: Sequence[str]
) -> tuple[str, dict[str, Any]]:
    preset = protocol.presets[options.preset]
    winners, winners_sha256 = read_winners()
    _, protocol_sha256 = read_protocol()
    tags = [f"commit {_commit()}"]
    cells = [
        Cell(task, arm, budget, seed, preset.part, None, draw)
        for seed in preset.seeds
        for budget in preset.budgets
        for task in tasks
        for arm in arms
        for draw in range(preset.draws.get(arm, 1))
    ]
    configs = {
        cell: protocol.config(
            cell,
            winners.trial(protocol, cell.task, cell.arm, untuned=preset.untuned),
            more_steps=winners.more_steps(protocol, cell.task, cell.arm, untuned=preset.untuned),
            tags=tags,
        )
        for cell in cells
    }
    started = time.monotonic()
    records = _run(options, configs)
    failed = [record for record in records if record.correct_N is None]
    if failed:
        raise RuntimeError(
            f"every run must end, {len(failed)} did not, first {failed[0].run} "
            f"({failed[0].cell}): {failed[0].reason}; mend it and start the preset again"
        )
    pictures = {
        task: pictures_of(next(c for cell, c in configs.items() if cell.task == task), preset.part)
        for task in tasks
    }
    answer = {"preset": options.preset, **results.compared(protocol, records, pictures)}
    answer |= {
        "left_out": sorted(set(preset.tasks) - set(tasks)),
        "untuned": sorted(
            {arm for arm in arms for task in tasks if not winners.is_tuned(protocol, task, arm)}
        ),
        "part": preset.part,
        "protocol_sha256": protocol_sha256,
        "winners_sha256": winners_sha256,
        "duration_s": round(time.monotonic() - started, 1),
        "budget_violations": num_violations(protocol, records),
    }
    return results.table_of(answer), answer


def pictures_of(config: RunConfig, part: str) -> npt.NDArray[np.int64]:
    """Which picture each item of a run's scored part asks about."""
    splits = config.data.load(SIZE_PX)
    return splits.test.image_ids_I if part == "test" else splits.validation.image_ids_I


def _run(options: Options, configs: Mapping[Cell, RunConfig]) -> list[Record]:
    os.environ.pop("DATABASE_URL", None)
    os.environ["OMP_NUM_THREADS"] = "1"
    settings = Settings(rankscope_home=options.home)
    engine = open_database(settings.database_url)
    migrate(engine)
    runner = Runner(engine, settings, options.jobs)
    runs = runner.run(options.preset, configs, again=options.again)
    return [record_of(engine, cell, run) for cell, run in runs.items()]


def num_violations(protocol: Protocol, records: Sequence[Record]) -> int:
    """Counts of live parameters above the budget, of arms that are held to it."""
    return sum(
        record.num_over_budget
        for record in records
        if protocol.arms[protocol.tuned_arm(record.cell.arm)].over_budget is None
    )


def _tasks(protocol: Protocol, preset: Preset, asked: Sequence[str] | None) -> list[str]:
    """The tasks to run: those asked for, which must be open, or the preset's open ones."""
    for task in asked or ():
        if task not in protocol.tasks:
            known = ", ".join(protocol.tasks)
            raise ProtocolError(f"a task must be one of {known}, got {task!r}; choose one")
    return list(asked) if asked else protocol.open_tasks(preset.tasks)


def _commit() -> str:
    """The commit that is checked out, with a plus where files differ from it."""

    def git(*words: str) -> str:
        answer = subprocess.run(
            ["git", *words], cwd=ROOT, capture_output=True, text=True, check=False
        )
        return answer.stdout.strip()

    sha = git("rev-parse", "--short=12", "HEAD") or "unknown"
    return sha + ("+" if git("status", "--porcelain", "--untracked-files=no") else "")
