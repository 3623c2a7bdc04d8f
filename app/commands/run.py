"""``rankscope run`` and ``resume``: one run in the foreground, recorded like any other."""

import getpass
import time

from rich.progress import Progress, TaskID
from sqlalchemy import Engine

from rankscope.app.options import AsJson, ConfigPath, Overrides, RunId
from rankscope.app.store import open_store
from rankscope.app.summary import print_summary
from rankscope.app.terminal import err, print_json, progress_bar
from rankscope.models.events import OPEN_STATUSES
from rankscope.models.reading import load_config
from rankscope.storage import history
from rankscope.storage.errors import RunRefusedError
from rankscope.storage.runs import RunRecord, get_run, resolve_run
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
    return _train(engine, settings, run_id, as_json=as_json)


def resume(run: RunId, as_json: AsJson = False) -> int:
    """Go on with a stopped or failed run from its last checkpoint, in the foreground."""
    settings = Settings()
    engine = open_store(settings)
    check_training_packages()
    record = get_run(engine, resolve_run(engine, run))
    if record.status == "done":
        raise RunRefusedError(
            f"only a run that did not end as done can go on, got {record.id} which is done; "
            "start a new run instead"
        )
    if record.status in OPEN_STATUSES:
        raise RunRefusedError(
            f"only a run that has ended can go on, got {record.id} which is {record.status}; "
            f"stop it, or wait until its lease ends ({record.lease_until:%H:%M:%S} UTC)"
        )
    return _train(engine, settings, record.id, as_json=as_json)


def _train(engine: Engine, settings: Settings, run_id: str, *, as_json: bool) -> int:
    err.print(f"run {run_id}", markup=False)
    training = Foreground(engine, settings, run_id)
    with progress_bar() as progress:
        task = progress.add_task("starting", total=get_run(engine, run_id).num_steps)
        while training.is_alive():
            try:
                _show(progress, task, get_run(engine, run_id))
                time.sleep(POLL_S)
            except KeyboardInterrupt:
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
