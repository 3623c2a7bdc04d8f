"""Runs of the product, many per process; what is done already is not run again."""

import contextlib
import multiprocessing
import os
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from sqlalchemy import Engine, select

from benchmarks.science.protocol import Cell
from rankscope.models.config import RunConfig
from rankscope.models.reading import ConfigError, parse_config
from rankscope.storage.artifacts import RunFolder
from rankscope.storage.database import open_database
from rankscope.storage.errors import RunRefusedError
from rankscope.storage.runs import begin_attempt, create_run, get_run
from rankscope.storage.settings import Settings
from rankscope.storage.tables import Run
from rankscope.tasks.client import inventory_of
from rankscope.tasks.settings import WorkerSettings

OWNER = "benchmark"
LOG_EVERY_S = 60.0
"""Between lines of progress where no terminal shows a bar."""


class Runner:
    """Gives every cell its run in a database, and trains what is not done.

    Use it as a context: at its end the processes end.

    Args:
        engine: The benchmark's own database.
        settings: Where that and the runs' folders are.
        jobs: Training processes at once; each imports torch once and reads each data set once.
    """

    def __init__(self, engine: Engine, settings: Settings, jobs: int) -> None:
        self._engine = engine
        self._settings = settings
        self._jobs = jobs
        self._pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> "Runner":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._pool is None:
            return
        if kind is not None:
            for process in multiprocessing.active_children():
                process.terminate()  # what trains saves first
        self._pool.shutdown(cancel_futures=kind is not None)

    def run(
        self, title: str, configs: Mapping[Cell, RunConfig], *, again: frozenset[str] = frozenset()
    ) -> dict[Cell, str]:
        """Run what is not done.

        Args:
            title: Shown beside the progress bar.
            configs: Configuration by cell; equal ones share a run.
            again: Arms to be run anew because what they do has changed.

        Returns:
            The run of every cell. A run that failed keeps that status; interrupted ones go on at
            the next call.
        """
        runs = self.runs_of(configs, again)
        distinct = set(runs.values())
        left = [run for run in dict.fromkeys(runs.values()) if not self._is_done(run)]
        with _Shown(title, total=len(distinct), done=len(distinct) - len(left)) as shown:
            self._train(left, shown)
        return runs

    def _train(self, runs: Sequence[str], shown: "_Shown") -> None:
        if not runs:
            return
        if self._pool is None:
            context = multiprocessing.get_context("spawn")
            self._pool = ProcessPoolExecutor(self._jobs, context, initializer=_prepare)
        futures = [self._pool.submit(_train, self._settings, run) for run in runs]
        for future in as_completed(futures):
            shown.one_done(future.result())

    def runs_of(self, configs: Mapping[Cell, RunConfig], again: frozenset[str]) -> dict[Cell, str]:
        """The run of every cell, made where there is none; nothing is trained."""
        hashes = {cell: config.hash() for cell, config in configs.items()}
        known = self._known(set(hashes.values()))
        chosen: dict[str, str] = {}
        for cell, key in hashes.items():
            old = known.get(key, [])
            if key not in chosen:
                chosen[key] = old[-1] if old else self._create(configs[cell], f"{key}/0")
            if cell.arm in again and chosen[key] in old:
                chosen[key] = self._create(configs[cell], f"{key}/{len(old)}")
        return {cell: chosen[key] for cell, key in hashes.items()}

    def _known(self, wanted: set[str]) -> dict[str, list[str]]:
        """Runs by the present hash of their configuration, oldest first.

        A run recorded before a setting existed counts as one with that setting's default, if it
        is done: nobody could go on with its checkpoint.
        """
        columns = (Run.id, Run.config_hash, Run.config, Run.status)
        statement = select(*columns).where(Run.owner == OWNER).order_by(Run.created_at)
        known: dict[str, list[str]] = {}
        with self._engine.connect() as connection:
            rows = list(connection.execute(statement))
        exact = {row.config_hash for row in rows}
        for row in rows:
            key = row.config_hash
            if key not in wanted and not wanted <= exact and row.status == "done":
                with contextlib.suppress(ConfigError):
                    key = parse_config(row.config).hash()
            if key in wanted:
                known.setdefault(key, []).append(row.id)
        return known

    def _create(self, config: RunConfig, key: str) -> str:
        inventory = inventory_of(config)
        return create_run(
            self._engine,
            config,
            origin="external",
            owner=OWNER,
            idempotency_key=key,
            inventory=inventory,
            budget_params=config.budget.params(inventory),
        )

    def _is_done(self, run: str) -> bool:
        return get_run(self._engine, run).status == "done"


class _Shown:
    """Progress with an estimate of the end: a bar on a terminal, else a line now and then."""

    def __init__(self, title: str, *, total: int, done: int) -> None:
        self._console = Console(stderr=True)
        self._title, self._total, self._done = title, total, done
        self._num_failed = 0
        self._num_before = done
        self._started_s = self._told_s = time.monotonic()
        self._progress = Progress(
            "{task.description}",
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            "ETA",
            TimeRemainingColumn(),
            console=self._console,
            disable=not self._console.is_terminal,
        )
        self._task = self._progress.add_task(title, total=total, completed=done)

    def __enter__(self) -> "_Shown":
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()
        self._tell()

    def one_done(self, status: str) -> None:
        """Count a run that ended."""
        self._done += 1
        self._num_failed += status != "done"
        self._progress.advance(self._task)
        if not self._console.is_terminal and time.monotonic() - self._told_s > LOG_EVERY_S:
            self._tell()

    def _tell(self) -> None:
        self._told_s = time.monotonic()
        passed_s, num = self._told_s - self._started_s, self._done - self._num_before
        left_min = passed_s / num * (self._total - self._done) / 60 if num else 0.0
        line = f"{self._title}: {self._done} of {self._total} runs"
        line += f", {passed_s / num:.1f} s each" if num else ""
        line += f", {left_min:.0f} min left" if self._done < self._total else ""
        line += f", {self._num_failed} not done" if self._num_failed else ""
        self._console.print(line, highlight=False)


def _prepare() -> None:
    """Once per training process."""
    os.environ |= {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    sys.stdout = sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115 - for the process's life
    import torch

    torch.set_num_threads(1)


def _train(settings: Settings, run: str) -> str:
    """Carry one run to its end in this process; returns its status."""
    import signal

    from rankscope.tasks.checkpoints import CHECKPOINTS
    from rankscope.tasks.trainer import train

    engine = open_database(settings.database_url)
    lease_s = WorkerSettings().lease_s
    attempt = _begin(engine, run, lease_s)
    if attempt is None:
        return "done"
    status = train(engine, settings, run, attempt, lease_s=lease_s)
    if status == "stopped":  # asked to end: leave now instead of taking the next run
        os._exit(0)
    # The training's own handlers would let a waiting process outlive the benchmark.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if status == "done":  # nobody goes on from it, and thousands of runs fill a disk
        shutil.rmtree(RunFolder(settings, run).inside(CHECKPOINTS), ignore_errors=True)
    engine.dispose()
    return status


def _begin(engine: Engine, run: str, lease_s: float) -> int | None:
    """The number of a new attempt, once a killed one's lease is over; None if another did it."""
    ends_s = time.monotonic() + 2 * lease_s
    while True:
        try:
            return begin_attempt(engine, run, worker_id=None, lease_s=lease_s)
        except RunRefusedError:
            if get_run(engine, run).status == "done":
                return None
            if time.monotonic() > ends_s:
                raise
            time.sleep(1.0)
