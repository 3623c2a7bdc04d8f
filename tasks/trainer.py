"""The training process: carries one run from its row in the database to its end.

Started as ``python -P -m rankscope.tasks.trainer RUN --attempt N`` with its output going to the
run's log file, by whoever has begun that attempt. SIGINT and SIGTERM stop the run at the next step,
SIGUSR1 gives it back to the queue; either saves first. A run of several processes is so many of
these, started by torchrun: the first carries the run, the others follow.
"""

import signal
import time
import traceback

import structlog
from sqlalchemy import Engine

from rankscope.models.config import RunConfig
from rankscope.models.events import LIVE_STATUSES, LogLine, RunStatus, StatusChanged
from rankscope.models.inventory import Inventory
from rankscope.models.schedulers.offline.model import OfflineModel
from rankscope.storage import history
from rankscope.storage.artifacts import RunFolder
from rankscope.storage.errors import FencedOutError
from rankscope.storage.queue import requeue
from rankscope.storage.runs import get_run, set_data_record, set_inventory
from rankscope.storage.settings import Settings
from rankscope.storage.sink import Sink
from rankscope.storage.stream import Stream
from rankscope.tasks.attempt import Training
from rankscope.tasks.carrying import carry, one_line
from rankscope.tasks.checkpoints import CHECKPOINTS
from rankscope.tasks.following import follow
from rankscope.tasks.offline import NONE, OfflineFor, resolve_offline, wanted_by
from rankscope.tasks.process_group import join_group
from rankscope.tasks.processes import GIVE_BACK, STOP
from rankscope.tasks.speed import measure_once

log = structlog.get_logger()


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
    folder = RunFolder(settings, run_id)
    meeting_place = folder.inside(f"processes-{attempt}")
    group = join_group(meeting_place)
    checkpoints = folder.inside(CHECKPOINTS)
    if group.number:
        for number in (STOP, GIVE_BACK):  # process 0 says when
            signal.signal(number, signal.SIG_IGN)
        follow(run.config, settings.roots, checkpoints, group)
        return "done"
    stream = Stream(settings.live_url)
    sink = Sink(engine, run_id, attempt, run.inventory, lease_s=lease_s, stream=stream)
    training = Training(
        run.config,
        sink,
        checkpoints,
        attempt=attempt,
        roots=settings.roots,
        offline_for=offline_of_run(engine, run_id, run.config),
        group=group,
    )
    training.end_on(STOP, status="stopped")
    if group.size > 1:
        training.fail_on(signal.SIGTERM)  # what torchrun then says
    else:
        training.end_on(signal.SIGTERM, status="stopped")
    if run.origin == "queue":
        training.end_on(GIVE_BACK, status="queued")
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
        status, reason = "failed", one_line(error, batch_size="training.batch_size")
        log.exception("failed", reason=reason)
        trace = traceback.format_exc()
        sink.emit(LogLine(step=training.step, time=time.time(), level="error", text=trace))
    meeting_place.unlink(missing_ok=True)
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


if __name__ == "__main__":
    carry(__doc__, "run", train)
