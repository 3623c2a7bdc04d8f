"""From a preset's name to its runs, its result and its table."""

import json
import math
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from sqlalchemy import Engine

from benchmarks.science import results, tables, tuning
from benchmarks.science.protocol import (
    PROTOCOL,
    Cell,
    Preset,
    Protocol,
    ProtocolError,
    read_protocol,
)
from benchmarks.science.provenance import about_here, commit
from benchmarks.science.records import Record, record_of
from benchmarks.science.runner import Runner
from benchmarks.science.winners import WINNERS, Winners, read_winners, write_winners
from rankscope.models.config import RunConfig
from rankscope.models.data.contract import VqaDataset
from rankscope.models.reading import ConfigError
from rankscope.models.schedulers.contract import RankPlanner
from rankscope.storage.database import migrate, open_database
from rankscope.storage.freezing import freeze_run
from rankscope.storage.settings import Settings
from rankscope.tasks.client import inventory_of
from rankscope.tasks.offline import resolve_offline

RESULTS = Path(__file__).parents[1] / "results"
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
    num_seeds: int | None = None
    again: frozenset[str] = frozenset()
    saves: bool = False
    protocol: Path = PROTOCOL
    winners: Path = WINNERS


class Session:
    """One command: the protocol, the database and the processes that train."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.protocol, self.protocol_sha256 = read_protocol(options.protocol)
        self.preset: Preset = self.protocol.presets[options.preset]
        self.tasks = _tasks(self.protocol, self.preset, options.tasks)
        self.arms = tuple(options.arms or self.preset.arms)
        self.seeds = _seeds(self.preset, options.num_seeds)
        for arm in (*self.arms, *options.again):
            if arm not in self.protocol.arms:
                raise ProtocolError(
                    f"an arm must stand in benchmarks/protocol.yaml, got {arm!r}; add it there"
                )
        self.tags = [f"commit {commit()}"]
        self.engine, settings = _open(options.home)
        self.cache = settings.roots.cache
        self.runner = Runner(self.engine, settings, options.jobs)

    def run(self, configs: Mapping[Cell, RunConfig], title: str) -> dict[Cell, str]:
        """Run what is not done."""
        return self.runner.run(title, configs, again=self.options.again)


def run_preset(options: Options) -> tuple[str, dict[str, Any]]:
    """Run a preset to its end; returns its table and its JSON object.

    Raises:
        ProtocolError: It may not be run so.
        ConfigError: A configuration does not parse.
    """
    session = Session(options)
    started_s = time.monotonic()
    with session.runner:
        made = _tune(session) if options.preset == "tune" else _compare(session)
    table, answer, records = made
    answer |= {
        "budget_violations": num_violations(session.protocol, records),
        "protocol_sha256": session.protocol_sha256,
        "winners_sha256": read_winners(options.winners)[1],
        "part": session.preset.part,
        "left_out": [
            *sorted(set(session.preset.tasks) - set(session.tasks)),
            *(f"seed {seed}" for seed in session.preset.seeds if seed not in session.seeds),
        ],
        "duration_s": round(time.monotonic() - started_s, 1),
    }
    _keep(options, answer, records)
    return table, answer


Made = tuple[str, dict[str, Any], list[Record]]


def _tune(session: Session) -> Made:
    protocol, options = session.protocol, session.options
    cells = tuning.tuning_cells(protocol, session.tasks, session.arms)
    configs = {cell: protocol.config(cell, {}, tags=session.tags) for cell in cells}
    _must_be_strangers(session, configs)
    runs = session.run(configs, "tune")
    records = [record_of(session.engine, cell, run) for cell, run in runs.items()]
    chosen = tuning.choose(protocol, records)
    winners = read_winners(options.winners)[0].with_chosen(
        chosen,
        protocol_sha256=session.protocol_sha256,
        commit=commit(),
        date=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    write_winners(winners, options.winners)
    by_task: dict[str, dict[str, dict[str, Any]]] = {task: {} for task in session.tasks}
    for place, won in chosen.items():
        by_budget = by_task[place.task].setdefault(place.arm, {})
        by_budget[f"{place.budget:g}"] = won.model_dump()
    return tuning.table_of(records, chosen), {"preset": "tune", "tasks": by_task}, records


def _compare(session: Session) -> Made:
    protocol, preset = session.protocol, session.preset
    winners, _ = read_winners(session.options.winners)
    if preset.part == "validation":
        winners = Winners()  # what is learned or searched there must not hang on what tuning chose
    cells = [
        Cell(task, arm, budget, seed, preset.part, None, draw)
        for seed in session.seeds
        for budget in preset.budgets
        for task in session.tasks
        for arm in session.arms
        for draw in range(preset.draws.get(arm, 1))
    ]
    is_control = {arm: protocol.arms[arm].control is not None for arm in session.arms}
    configs = {cell: _config(session, winners, cell) for cell in cells if not is_control[cell.arm]}
    _must_be_strangers(session, configs)
    runs = session.run(configs, session.options.preset)
    controls = {cell: _control(session, runs, cell) for cell in cells if is_control[cell.arm]}
    if controls:
        runs |= session.run(controls, f"{session.options.preset}, controls")
    records = [record_of(session.engine, cell, runs[cell]) for cell in cells]
    _must_have_ended(records)
    pictures = {task: _pictures(session, configs, task) for task in session.tasks}
    answer = {
        "preset": session.options.preset,
        **results.compared(protocol, records, pictures),
        "untuned": sorted(
            {c.arm for c in configs if not winners.is_tuned(protocol, tuning.place_of(c))}
        ),
    }
    return tables.tables_of(answer), answer, records


def _config(session: Session, winners: Winners, cell: Cell) -> RunConfig:
    protocol, may_be_untuned = session.protocol, session.preset.untuned
    place = tuning.place_of(cell)
    return protocol.config(
        cell,
        winners.trial(protocol, place, untuned=may_be_untuned),
        more_steps=winners.more_steps(protocol, place, untuned=may_be_untuned),
        tags=session.tags,
    )


def _control(session: Session, runs: Mapping[Cell, str], cell: Cell) -> RunConfig:
    """The control of the finished run of the same task, budget and seed."""
    arm = session.protocol.arms[cell.arm]
    assert arm.control is not None
    of = [
        run
        for other, run in runs.items()
        if (other.task, other.arm, other.budget, other.seed, other.draw)
        == (cell.task, arm.like, cell.budget, cell.seed, 0)
    ]
    if not of:
        raise ProtocolError(
            f"control {cell.arm} needs the runs of {arm.like}, which the preset leaves out; add it"
        )
    try:
        config = freeze_run(session.engine, of[0], control=arm.control)
    except ConfigError:
        if arm.control != "shuffled":
            raise
        # All modules of equal cost ended alike: any order of their ranks is the same.
        config = freeze_run(session.engine, of[0], control="static")
    return config.model_copy(
        update={"name": f"{cell.task}: {cell.arm}", "tags": tuple(session.tags)}
    )


def _must_have_ended(records: Sequence[Record]) -> None:
    failed = [record for record in records if record.correct_N is None]
    if failed:
        raise RuntimeError(
            f"every run must end, {len(failed)} did not, first {failed[0].run} "
            f"({failed[0].cell}): {failed[0].reason}; mend it and start the preset again"
        )


def _must_be_strangers(session: Session, configs: Mapping[Cell, RunConfig]) -> None:
    """What is learned offline must not come from the family it is judged on."""
    for cell, config in configs.items():
        if not isinstance(config.scheduler, RankPlanner):
            continue
        modules = inventory_of(config).modules
        wanted = config.scheduler.wanted_offline
        model = resolve_offline(session.engine, wanted, modules)
        family = session.protocol.tasks[cell.task].family
        if model is not None and family in model.families:
            raise ProtocolError(
                f"what is learned offline must not come from the family it is judged on, "
                f"{model.name} ({wanted}) knows {family} ({cell.arm} on {cell.task}); name one "
                "that was learned without it, {family} in its name stands for the family"
            )


def _pictures(
    session: Session, configs: Mapping[Cell, RunConfig], task: str
) -> npt.NDArray[np.int64]:
    """Which picture each item of a task's scored part asks about."""
    data = next(config.data for cell, config in configs.items() if cell.task == task)
    if not isinstance(data, VqaDataset):
        raise ProtocolError(
            f"a task's data must be built in or published, {task} has {data.kind}; correct "
            "benchmarks/protocol.yaml"
        )
    splits = data.load(SIZE_PX, session.cache)
    part = splits.test if session.preset.part == "test" else splits.validation
    return part.image_ids_I


def _open(home: Path) -> tuple[Engine, Settings]:
    os.environ.pop("DATABASE_URL", None)
    os.environ["OMP_NUM_THREADS"] = "1"
    settings = Settings(rankscope_home=home)
    engine = open_database(settings.database_url)
    migrate(engine)
    return engine, settings


def _keep(options: Options, answer: Mapping[str, Any], records: Sequence[Record]) -> None:
    """Write the result with where it comes from and every run, one line each."""
    head = dict(answer) | {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        **about_here(),
        "jobs": options.jobs,
        "runs_s": round(sum(record.train_s + record.steering_s for record in records), 1),
    }
    lines = ",\n".join(json.dumps(_shown(record)) for record in records)
    text = json.dumps(head, indent=1)[:-2] + f',\n "runs": [\n{lines}\n ]\n}}\n'
    name = f"science-{options.preset}.json"
    for folder in (options.home, *([RESULTS] if options.saves else [])):
        (folder / name).write_text(text, encoding="utf-8")


def _shown(record: Record) -> dict[str, Any]:
    """A run for the result file: its items left out, its ranks in the order of the model."""
    row = asdict(record)
    del row["correct_N"]
    cell, ranks = row.pop("cell"), row.pop("ranks")
    row = cell | row | {"ranks": list(ranks.values())}
    return {
        key: round(value, 6) if isinstance(value, float) and math.isfinite(value) else value
        for key, value in row.items()
    }


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


def _seeds(preset: Preset, num: int | None) -> tuple[int, ...]:
    """The first so many of the preset's seeds, all of them for None."""
    if num is None:
        return preset.seeds
    if not 1 <= num <= len(preset.seeds):
        raise ProtocolError(
            f"--num-seeds must be between 1 and the preset's {len(preset.seeds)}, got {num}; "
            "choose another"
        )
    return preset.seeds[:num]
