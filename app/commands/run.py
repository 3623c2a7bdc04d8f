"""``rankscope run``: one run in the foreground, recorded like any other."""

import getpass
import time

from rich.progress import Progress, TaskID
from sqlalchemy import Engine

from rankscope.app.interrupts import Interrupts
from rankscope.app.options import AsJson, ConfigPath, Overrides
from rankscope.app.store import open_store
from rankscope.app.summary import print_summary
from rankscope.app.terminal import err, print_json, progress_bar
from rankscope.models.reading import load_config
from rankscope.storage import history
from rankscope.storage.runs import RunRecord, get_run
from rankscope.storage.settings import Settings
from rankscope.tasks.client import Foreground, add_run, check_training_packages

POLL_S = 0.25
EXIT_CODES = {"done": 0, "failed": 1, "stopped": 130}


def run(config: ConfigPath, overrides: Overrides = None, as_json: AsJson = False) -> int:
    """Train one run in the foreground; Ctrl-C stops it at the next step, its state saved."""
    checked = load_config(config, overrides)
    check_training_packages()
    settings = Settings()
    engine = open_store(settings)
    run_id = add_run(engine, checked, origin="foreground", owner=getpass.getuser())
    return train_in_foreground(engine, settings, run_id, as_json=as_json)


def train_in_foreground(engine: Engine, settings: Settings, run_id: str, *, as_json: bool) -> int:
    """Train a run that has a row, show how far it is, then its result; returns the exit code."""
    err.print(f"run {run_id}", markup=False)
    with Interrupts() as interrupts, progress_bar() as progress:
        training = Foreground(engine, settings, run_id)
        task = progress.add_task("starting", total=get_run(engine, run_id).num_steps)
        while training.is_alive():
            _show(progress, task, get_run(engine, run_id))
            time.sleep(POLL_S)
            if interrupts.take():
                err.print("stopping at the next step; Ctrl-C again ends it at once")
                training.stop()
        last = training.outcome()
        _show(progress, task, last)
    summary = history.summary(engine, run_id)
    if as_json:
        print_json(summary.model_dump(mode="json"))
    else:
        print_summary(summary)
    if last.status == "failed":
        err.print(f"error: run {run_id} failed: {last.status_reason}", markup=False)
    return EXIT_CODES[last.status]


def _show(progress: Progress, task: TaskID, run: RunRecord) -> None:
    description = f"{run.status}: {run.status_reason}" if run.status_reason else run.status
    progress.update(task, description=description, total=run.num_steps, completed=run.step)
