"""The training process: carries one run from its row in the database to its end.

Started as ``python -P -m rankscope.tasks.trainer RUN --attempt N`` with its output going to the
run's log file, by whoever has begun that attempt. SIGTERM and SIGINT stop the run at the next step,
SIGUSR1 gives it back to the queue; either saves first.
"""

import argparse
import contextlib
import io
import os
import signal
import sys
import time
import traceback
from typing import TextIO

import structlog
import torch
import transformers
from sqlalchemy import Engine
from typing_extensions import override

from rankscope.models.config import RunConfig
from rankscope.models.events import LIVE_STATUSES, LogLine, RunStatus, StatusChanged
from rankscope.models.inventory import Inventory
from rankscope.models.schedulers.offline.model import OfflineModel
from rankscope.storage import history
from rankscope.storage.artifacts import RunFolder
from rankscope.storage.database import open_database
from rankscope.storage.errors import FencedOutError, StorageError
from rankscope.storage.queue import requeue
from rankscope.storage.runs import get_run, set_data_record, set_inventory
from rankscope.storage.settings import Settings
from rankscope.storage.sink import Sink
from rankscope.storage.stream import Stream
from rankscope.tasks.attempt import Training
from rankscope.tasks.checkpoints import CHECKPOINTS
from rankscope.tasks.logs import log_to_stderr
from rankscope.tasks.offline import NONE, OfflineFor, resolve_offline, wanted_by
from rankscope.tasks.settings import WorkerSettings
from rankscope.tasks.speed import measure_once

log = structlog.get_logger()


class UnbreakableLog(io.TextIOBase):
    """A log that a full disk cannot turn into the end of a run, or of the word why it ended."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    @override
    def write(self, text: str) -> int:
        with contextlib.suppress(OSError):
            self._stream.write(text)
        return len(text)

    @override
    def flush(self) -> None:
        with contextlib.suppress(OSError):
            self._stream.flush()


def train(
    engine: Engine, settings: Settings, run_id: str, attempt: int, *, lease_s: float
) -> RunStatus:
    """Carry one run to its end, or back to the queue, and record how it ended.

    This is the one place that catches broadly: whatever goes wrong, the run says so and nothing
    recorded is lost.

    Args:
        engine: The database.
        settings: Where the run's files are.
        run_id: The run.
        attempt: As whoever started this process began it.
        lease_s: Seconds without a word after which others may take the run over.

    Raises:
        FencedOutError: The attempt is over.
    """
    run = get_run(engine, run_id)
    if run.attempt != attempt or run.status not in LIVE_STATUSES:
        raise FencedOutError(
            f"an attempt must be the run's present one to train, got {attempt} of {run_id} which "
            f"is {run.status} at attempt {run.attempt}; nothing is left to do here"
        )
    stream = Stream(settings.live_url)
    sink = Sink(engine, run_id, attempt, run.inventory, lease_s=lease_s, stream=stream)
    folder = RunFolder(settings, run_id)
    training = Training(
        run.config,
        sink,
        folder.inside(CHECKPOINTS),
        attempt=attempt,
        roots=settings.roots,
        offline_for=offline_of_run(engine, run_id, run.config),
    )
    training.end_on(signal.SIGTERM, signal.SIGINT, status="stopped")
    if run.origin == "queue":
        training.end_on(signal.SIGUSR1, status="queued")
    reason = ""
    try:
        assembled = training.prepare()
        measure_once(settings, run.config)
        set_inventory(
            engine,
            run_id,
            assembled.inventory,
            budget_params=assembled.budget_params,
            other_trainable_params=assembled.other_trainable_params,
        )
        if assembled.data_record is not None:
            set_data_record(engine, run_id, assembled.data_record)
        is_scored = history.has_score(engine, run_id, part="test", when="before")
        status = training.run(is_scored_before=is_scored)
    except Exception as error:
        status, reason = "failed", _one_line(error)
        log.exception("failed", reason=reason)
        trace = traceback.format_exc()
        sink.emit(LogLine(step=training.step, time=time.time(), level="error", text=trace))
    if status == "queued":
        sink.close()
        reason = "its worker ended; it goes on from its last checkpoint"
        log.info(status, reason=reason)
        return requeue(engine, run_id, attempt, reason, counts=False)
    sink.emit(StatusChanged(step=training.step, time=time.time(), status=status, reason=reason))
    sink.close()
    log.info(status, reason=reason)
    return status


def offline_of_run(engine: Engine, run_id: str, config: RunConfig) -> OfflineFor:
    """What a run's planner is handed; a run that has decided before keeps what it began with."""
    wanted = wanted_by(config)

    def find(inventory: Inventory) -> OfflineModel | None:
        if wanted == NONE:
            return None
        decided = history.first_decision(engine, run_id)
        if decided is not None:
            return decided.view.offline
        return resolve_offline(engine, wanted, inventory.modules)

    return find


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return f"out of memory; lower training.batch_size ({text})"
    return text


def main() -> int:
    """Exit status 1 when the run failed or could not be recorded, else 0."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", help="id of the run")
    parser.add_argument("--attempt", type=int, required=True, help="its number, begun already")
    arguments = parser.parse_args()
    sys.stdout = sys.stderr = UnbreakableLog(sys.stderr)
    log_to_stderr()
    transformers.logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    settings = Settings()
    engine = open_database(settings.database_url)
    lease_s = WorkerSettings().lease_s
    try:
        status = train(engine, settings, arguments.run, arguments.attempt, lease_s=lease_s)
    except StorageError as error:
        log.error("not recorded", reason=str(error))  # noqa: TRY400 - it says all
        return 1
    return 1 if status == "failed" else 0


if __name__ == "__main__":
    code = main()
    # all is written; the libraries' own teardown would take two more seconds of a core
    os._exit(code)
