"""``rankscope demo``: ``up`` and the built-in comparison at one budget."""

import getpass
import threading
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich.progress import Progress, TaskID
from sqlalchemy import Engine

from rankscope.app import demonstration
from rankscope.app.commands.web import Host, Port
from rankscope.app.extras import require_web
from rankscope.app.interrupts import interrupt_once
from rankscope.app.options import AsJson
from rankscope.app.store import open_store
from rankscope.app.terminal import count, err, out, percent, print_json, print_table, progress_bar
from rankscope.app.up.home_lock import holder_of
from rankscope.models.events import OPEN_STATUSES
from rankscope.storage.errors import RunRefusedError
from rankscope.storage.runs import RunRecord, get_run
from rankscope.storage.settings import Settings
from rankscope.storage.workers import list_workers
from rankscope.tasks.client import JobFailed, check_training_packages, stop, submit

POLL_S = 0.5
STOP_WITHIN_S = 30.0
"""A trainer told to stop saves within a step; one that does not is ended after 20 s."""
NO_WORKER_S = 60.0
"""A worker that died is started again within 15 s; with none for that long nothing will train."""

Runs = dict[str, list[str]]
"""Per scheduler the ids of its runs, by seed."""

Quick = Annotated[bool, typer.Option("--quick", help="One seed instead of three.")]
NoServe = Annotated[bool, typer.Option("--no-serve", help="End when the last run has ended.")]


def demo(
    quick: Quick = False,
    no_serve: NoServe = False,
    as_json: AsJson = False,
    host: Host = "127.0.0.1",
    port: Port = 7860,
) -> int:
    """Compare uniform, HyDRA and AdaLoRA live at one budget; everything on this machine."""
    require_web()
    check_training_packages()
    interrupt_once()
    began = time.monotonic()
    settings = Settings()
    engine = open_store(settings)
    with _serving(settings, host, port) as url:
        runs = _launch(engine, settings, demonstration.SEEDS[: 1 if quick else None])
        ids = [run_id for arm in runs.values() for run_id in arm]
        err.print(demonstration.NOTICE, markup=False)
        err.print(f"\nWatch it live: {_address(url, ids)}\n", markup=False)
        _follow(engine, settings, ids)
        wall_s = time.monotonic() - began
        arms = [demonstration.result_of(engine, arm) for arm in runs.values()]
        if as_json:
            print_json({"runs": ids, "wall_s": wall_s, "arms": arms})
        else:
            _print_result(arms, wall_s)
        unfinished = [run for run in _rows(engine, ids) if run.status != "done"]
        for run in unfinished:
            err.print(f"error: run {run.id} is {run.status}: {run.status_reason}", markup=False)
        if not no_serve:
            err.print(f"still serving at {url} (Ctrl-C ends it)", markup=False)
            _wait_for_interrupt()
    return 1 if unfinished else 0


@contextmanager
def _serving(settings: Settings, host: str, port: int) -> Iterator[str]:
    """The address of a running ``up`` of this home, or of one for as long as the block lasts."""
    from rankscope.app.up.services import Services

    url = (holder_of(settings.rankscope_home.expanduser()) or {}).get("url")
    if url is not None and _answers(url):
        err.print(f"using the rankscope up that runs at {url}", markup=False)
        yield url
        return
    with Services(settings, host, port, say=lambda line: err.print(line, markup=False)) as services:
        services.wait_until_ready()
        yield services.url


def _answers(url: str) -> bool:
    try:
        urllib.request.urlopen(f"{url}/readyz", timeout=5).close()  # noqa: S310
    except OSError:
        return False
    return True


def _launch(engine: Engine, settings: Settings, seeds: Sequence[int]) -> Runs:
    """Queue the runs seed by seed, so that all arms have something to show early."""
    configs = demonstration.configs()
    runs: Runs = {config.scheduler.kind: [] for config in configs}
    for seed in seeds:
        for config in configs:
            owner = getpass.getuser()
            runs[config.scheduler.kind] += submit(
                engine, settings, config, owner=owner, seeds=[seed]
            )
    return runs


def _address(url: str, ids: Sequence[str]) -> str:
    return f"{url}/compare?" + "&".join([*(f"run={run}" for run in ids), f"baseline={ids[0]}"])


def _follow(engine: Engine, settings: Settings, ids: Sequence[str]) -> None:
    """Show progress until no run is open; an interrupt stops them, their state saved."""
    worked_at = time.monotonic()
    try:
        with progress_bar() as progress:
            task = progress.add_task("starting", total=len(ids) * demonstration.NUM_STEPS)
            while any(run.status in OPEN_STATUSES for run in _show(progress, task, engine, ids)):
                time.sleep(POLL_S)
                if any(worker.is_alive for worker in list_workers(engine, datetime.now(UTC))):
                    worked_at = time.monotonic()
                elif time.monotonic() - worked_at > NO_WORKER_S:
                    log = settings.rankscope_home / "logs" / "worker.log"
                    raise JobFailed(f"no worker was seen for {NO_WORKER_S:.0f} s; see {log}")
    except KeyboardInterrupt:
        err.print("stopping the runs, their state is saved; this takes some seconds")
        _stop(engine, settings, ids)
        raise


def _show(progress: Progress, task: TaskID, engine: Engine, ids: Sequence[str]) -> list[RunRecord]:
    rows = _rows(engine, ids)
    num_ended = sum(run.status not in OPEN_STATUSES for run in rows)
    progress.update(
        task,
        description=f"{num_ended} of {len(rows)} runs ended",
        completed=sum(run.num_steps if run.status == "done" else run.step for run in rows),
    )
    return rows


def _stop(engine: Engine, settings: Settings, ids: Sequence[str]) -> None:
    for run_id in ids:
        try:
            stop(engine, settings, run_id)
        except RunRefusedError:
            continue  # it has ended
    deadline = time.monotonic() + STOP_WITHIN_S
    while time.monotonic() < deadline:
        if not any(run.status in OPEN_STATUSES for run in _rows(engine, ids)):
            return
        time.sleep(POLL_S)


def _rows(engine: Engine, ids: Sequence[str]) -> list[RunRecord]:
    return [get_run(engine, run_id) for run_id in ids]


def _print_result(arms: Sequence[dict[str, Any]], wall_s: float) -> None:
    rows = []
    for arm in arms:
        low, high = arm["accuracy_ci95"] or (None, None)
        rows.append(
            [
                arm["scheduler"],
                count(arm["seeds"]),
                count(arm["budget_params"]),
                count(arm["max_live_params"]),
                count(arm["rank_events"]),
                percent(arm["accuracy_before"]),
                percent(arm["accuracy_mean"]),
                f"[{percent(low)}, {percent(high)}]",
            ]
        )
    columns = ["scheduler", "seeds", "budget", "live at most", "rank events", "before", "after"]
    basis = {"items": "items", "items+seeds": "items and seeds"}.get(arms[0]["ci_basis"], "nothing")
    print_table(
        f"Accuracy on {count(arms[0]['items'])} test items, after {wall_s:,.0f} s",
        [*columns, f"95 % over {basis}"],
        rows,
    )
    out.print()


def _wait_for_interrupt() -> None:
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        err.print("ended")
