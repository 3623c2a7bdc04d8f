"""What people ask of the queue's workers: the database says it, Redis only carries a hint.

Without Redis all but exports still happens: workers and trainers look at the database by
themselves, only later. A core installation has neither Celery nor redis, hence the late imports.
"""

from typing import Literal

from sqlalchemy import Engine

from rankscope.models.events import LIVE_STATUSES, RunStatus
from rankscope.storage.errors import RunRefusedError
from rankscope.storage.runs import get_run
from rankscope.storage.settings import Settings
from rankscope.storage.stopping import requeue_ended, stop_run

ANSWER_WITHIN_S = 0.5
"""Redis on the same network answers in a millisecond, and a person waits for this."""


class QueueAway(RuntimeError):
    """What was asked needs Redis, and it does not answer."""


def stop(engine: Engine, settings: Settings, run_id: str) -> RunStatus:
    """Stop a waiting run at once, or a live one at its next step, its state saved.

    Returns:
        The run's status now: ``stopped``, or still that of the live run.

    Raises:
        UnknownRunError: There is no such run.
        RunRefusedError: It has ended.
    """
    status = stop_run(engine, run_id)
    if status in LIVE_STATUSES:
        _poke(settings, run_id)
    return status


def resume(engine: Engine, settings: Settings, run_id: str) -> RunStatus:
    """Put a run of the queue that ended, but not as done, back into it.

    Returns:
        The run's status now.

    Raises:
        UnknownRunError: There is no such run.
        RunRefusedError: It is done, has not ended, or is no run of the queue.
        OtherVersionError: This version could not train it.
    """
    run = get_run(engine, run_id)  # first: a run of another version is refused and stays ended
    requeue_ended(engine, run_id)
    wake(settings, run.queue)
    return "queued"


def wake(settings: Settings, queue: str) -> bool:
    """Tell a queue's workers that there is work; False, soon, if Redis is away."""
    return _send(settings, "work", queue, queue)


def request_export(engine: Engine, settings: Settings, run_id: str) -> None:
    """Have a worker export the run's last checkpoint as a plain PEFT adapter, an artifact.

    Raises:
        UnknownRunError: There is no such run.
        RunRefusedError: It has not trained a step yet, or somebody's own script trained it.
        QueueAway: Nobody can be asked.
    """
    run = get_run(engine, run_id)
    run.check_is_ours()
    if run.step == 0:
        raise RunRefusedError(
            f"a run needs a checkpoint to be exported, {run_id} is {run.status} at step 0; "
            "let it train longer"
        )
    if not _send(settings, "export", run_id, run.queue):
        raise QueueAway(
            f"an export needs Redis, which does not answer at {settings.safe_redis_url}; "
            f"start it and try again, or run: rankscope export {run_id} --to FOLDER"
        )


def _send(settings: Settings, task: Literal["work", "export"], argument: str, queue: str) -> bool:
    try:
        from kombu.exceptions import OperationalError

        from rankscope.tasks.celery_app import EXPORT, WORK, make_celery
    except ModuleNotFoundError:
        return False
    name = {"work": WORK, "export": EXPORT}[task]
    app = make_celery(settings, answer_within_s=ANSWER_WITHIN_S)
    try:
        # a connection of its own: Celery's pool would keep one for every caller
        with app.connection_for_write() as connection:
            app.send_task(name, args=[argument], queue=queue, connection=connection)
    except OperationalError:
        return False
    return True


def _poke(settings: Settings, run_id: str) -> bool:
    try:
        from rankscope.storage.stream import Stream
    except ModuleNotFoundError:
        return False
    stream = Stream(settings.live_url, timeout_s=ANSWER_WITHIN_S)
    try:
        return stream.poke(run_id)
    finally:
        stream.close()
