"""``rankscope worker``: a process that takes runs from the queue and trains them."""

import os
import re
import sys
import uuid
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from rankscope.models.reading import ConfigError
from rankscope.tasks import client

QUEUE_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")


def worker(
    slots: Annotated[int, typer.Option(min=1, max=64, help="Runs at once.")] = 2,
    queue: Annotated[str, typer.Option(metavar="NAME", help="Queue to take runs from.")] = (
        "default"
    ),
    gpu: Annotated[
        str | None,
        typer.Option(
            metavar="NUMBERS",
            help="Train on this GPU only, or on several (0,1) for runs of several processes, and "
            "take runs from the queue gpu-NUMBERS too.",
        ),
    ] = None,
) -> None:
    """Take runs from the queue and train them, until it is told to end (Ctrl-C, SIGTERM)."""
    client.check_training_packages()
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
    environment, queues = dict(os.environ), [queue]
    if gpu is not None:
        numbers = _known(gpu)
        environment["CUDA_VISIBLE_DEVICES"] = ",".join(numbers)
        queues.append(f"gpu-{'-'.join(numbers)}")
    # this very process becomes the worker, so that signals reach it
    os.execve(executable, [str(executable), *_arguments(slots, queues)], environment)  # noqa: S606


def _known(gpu: str) -> list[str]:
    known, numbers = client.gpus(), [number.strip() for number in gpu.split(",")]
    if not set(numbers) <= set(known) or len(set(numbers)) < len(numbers):
        offered = f"among {', '.join(known)}" if known else "left out, for this machine has none"
        raise ConfigError(f"--gpu must be {offered}, got {gpu!r}; leave it out or choose another")
    return numbers


def _arguments(slots: int, queues: Sequence[str]) -> list[str]:
    return [
        "--quiet",
        *("--app", "rankscope.tasks.worker:celery_app"),
        "worker",
        *("--pool", "threads"),
        *("--concurrency", str(slots)),
        *("--queues", ",".join(queues)),
        *("--hostname", f"worker-{uuid.uuid4().hex[:8]}@%h"),
        *("--loglevel", "WARNING"),
        "--without-mingle",
        "--without-gossip",
    ]
