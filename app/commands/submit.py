"""``rankscope submit``: put runs into the queue for the workers."""

import getpass
from datetime import UTC, datetime
from typing import Annotated

import typer

from rankscope.app.options import AsJson, ConfigPath, Overrides
from rankscope.app.store import open_store
from rankscope.app.terminal import err, out, print_json
from rankscope.models.reading import load_config
from rankscope.storage.runs import DEFAULT_QUEUE, NORMAL_PRIORITY
from rankscope.storage.settings import Settings
from rankscope.storage.workers import list_workers
from rankscope.tasks import client


def submit(
    config: ConfigPath,
    overrides: Overrides = None,
    seeds: Annotated[
        int, typer.Option(min=1, max=client.MAX_SEEDS, help="So many runs, seeds counted up.")
    ] = 1,
    priority: Annotated[
        int, typer.Option(min=0, max=9, help="0 is the most urgent, 9 can wait.")
    ] = NORMAL_PRIORITY,
    queue: Annotated[str, typer.Option(help="Whose workers may take them.")] = DEFAULT_QUEUE,
    as_json: AsJson = False,
) -> None:
    """Put runs into the queue; workers train them, started by: rankscope up."""
    checked = load_config(config, overrides)
    settings = Settings()
    engine = open_store(settings)
    submitted = client.submit(
        engine,
        settings,
        checked,
        owner=getpass.getuser(),
        seeds=range(checked.seed, checked.seed + seeds),
        priority=priority,
        queue=queue,
    )
    workers = list_workers(engine, datetime.now(UTC))
    if not any(worker.is_alive and queue in worker.queues for worker in workers):
        err.print(f"no worker of queue {queue} is alive, so they wait; start one: rankscope up")
    if as_json:
        print_json({"runs": submitted})
        return
    for run_id in submitted:
        out.print(run_id)
