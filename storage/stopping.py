"""Stop a run, and let one go on: what people ask of a run of the queue, whatever it is doing."""

from datetime import UTC, datetime

from sqlalchemy import Engine, and_, select, update

from rankscope.models.events import RunStatus
from rankscope.storage.control import request_control
from rankscope.storage.database import writing
from rankscope.storage.ending import end
from rankscope.storage.errors import RunRefusedError
from rankscope.storage.queue import NO_PROCESS, status_of
from rankscope.storage.tables import Run


def stop_run(engine: Engine, run_id: str) -> RunStatus:
    """Stop a waiting run at once, or ask a live one to stop at its next step.

    Returns:
        The run's status now: ``stopped``, or that of the live run.

    Raises:
        UnknownRunError: If there is no such run.
        RunRefusedError: If it has ended.
    """
    is_waiting = and_(Run.id == run_id, Run.status == "queued")
    with writing(engine) as connection:
        status_of(connection, run_id)
        if end(connection, is_waiting, "stopped", "stopped while it waited in the queue"):
            return "stopped"
    request_control(engine, run_id, "stop")
    with engine.connect() as connection:
        return status_of(connection, run_id)


def requeue_ended(engine: Engine, run_id: str) -> None:
    """Put a run that ended without being done at the end of the queue, from its last checkpoint.

    Raises:
        UnknownRunError: If there is no such run.
        RunRefusedError: If it is done, has not ended, or never was of the queue.
    """
    now = datetime.now(UTC)
    statement = (
        update(Run)
        .where(Run.id == run_id, Run.origin == "queue", Run.status.in_(("stopped", "failed")))
        .values(
            status="queued",
            status_reason="",
            position=now.timestamp(),
            is_held=False,
            num_requeues=0,
            ended_at=None,
            final_params=None,
            lease_until=None,
            worker_id=None,
            **NO_PROCESS,
        )
    )
    with writing(engine) as connection:
        if connection.execute(statement).rowcount == 1:
            return
        status = status_of(connection, run_id)
        origin = connection.execute(select(Run.origin).where(Run.id == run_id)).scalar_one()
    if status == "done":
        raise RunRefusedError(
            f"only a run that did not end as done can go on, got {run_id} which is done; "
            "start a new run instead"
        )
    if status not in ("stopped", "failed", "lost"):
        raise RunRefusedError(
            f"only a run that has ended can go on, got {run_id} which is {status}; stop it first"
        )
    remedy = {
        "foreground": f"on the machine that trained it, run: rankscope resume {run_id}",
        "external": "start its own script again",
    }
    raise RunRefusedError(
        f"only a run of the queue goes back to it, got {run_id} of origin {origin}; "
        f"{remedy[origin]}"
    )
