"""``rankscope worker``: a process that takes runs from the queue and trains them."""

import os
import re
import sys
import uuid
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from rankscope.models.reading import ConfigError
from rankscope.tasks.client import check_training_packages

QUEUE_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")


def worker(
    slots: Annotated[int, typer.Option(min=1, max=64, help="Runs at once.")] = 2,
    queue: Annotated[str, typer.Option(metavar="NAME", help="Queue to take runs from.")] = (
        "default"
    ),
) -> None:
    """Take runs from the queue and train them, until it is told to end (Ctrl-C, SIGTERM)."""
    check_training_packages()
    executable = Path(sys.executable).with_name("celery")
    if find_spec("celery") is None or not executable.exists():
        raise ConfigError(
            f"a worker needs Celery, got none beside {sys.executable}; "
            "run: pip install 'rankscope[train,web]'"
        )
    if not QUEUE_NAME.fullmatch(queue):
        raise ConfigError(
            "--queue must be 1 to 64 letters, digits, dots, dashes or underscores, "
            f"got {queue!r}; choose another name"
        )
    # this very process becomes the worker, so that signals reach it
    os.execv(executable, [str(executable), *_arguments(slots, queue)])  # noqa: S606


def _arguments(slots: int, queue: str) -> list[str]:
    return [
        "--quiet",
        *("--app", "rankscope.tasks.worker:celery_app"),
        "worker",
        *("--pool", "threads"),
        *("--concurrency", str(slots)),
        *("--queues", queue),
        *("--hostname", f"worker-{uuid.uuid4().hex[:8]}@%h"),
        *("--loglevel", "WARNING"),
        "--without-mingle",
        "--without-gossip",
    ]
