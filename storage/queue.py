"""The queue is rows: order, claim, requeue and hold are conditional updates that one caller wins.

Runs wait as ``queued`` in the order (priority, position). Whoever claims one begins its next
attempt; every older attempt is fenced out from then on. Correct on SQLite, where writers take
turns, and on PostgreSQL, where the rows looked at are locked until the commit.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Literal, NamedTuple, cast

from sqlalchemy import ColumnElement, Connection, Engine, and_, exists, select, update

from rankscope.models.events import LIVE_STATUSES, RunStatus
from rankscope.storage.database import writing
from rankscope.storage.ending import end, lease_is_over
from rankscope.storage.errors import no_such_run
from rankscope.storage.tables import RequestedControl, Run

MAX_REQUEUES = 3
"""A run whose process keeps dying is given up after so many new tries."""
LEASE_OVER = "its process gave no sign of life until its lease was over"
NO_PROCESS: dict[str, None] = {
    "process_host": None,
    "process_pid": None,
    "process_started_at": None,
}
"""Values of a row whose run no process trains."""


class Claim(NamedTuple):
    """A run that the claimer, and nobody else, may now start."""

    run_id: str
    attempt: int


class LiveProcess(NamedTuple):
    """The training process of a live run; ``started_at`` tells it from a later one of its id."""

    run_id: str
    attempt: int
    pid: int
    started_at: float
    worker_id: str | None


def claim_next(
    engine: Engine, queues: Sequence[str], *, worker_id: str, lease_s: float
) -> Claim | None:
    """Take the most urgent waiting run of the queues, or None when none waits.

    Args:
        engine: The database.
        queues: Names of the queues to look in.
        worker_id: Who takes it.
        lease_s: Seconds within which its process must give a sign of life.
    """
    best = (
        select(Run.id)
        .where(Run.status == "queued", Run.is_held.is_(False), Run.queue.in_(queues))
        .order_by(Run.priority, Run.position, Run.id)
        .limit(1)
        .with_for_update()  # a second claimer waits here, then finds the next run
    )
    with writing(engine) as connection:
        run_id = connection.execute(best).scalar_one_or_none()
        if run_id is None:
            return None
        claim = (
            update(Run)
            .where(Run.id == run_id, Run.status == "queued")
            .values(
                status="starting",
                status_reason="",
                attempt=Run.attempt + 1,
                worker_id=worker_id,
                lease_until=datetime.now(UTC) + timedelta(seconds=lease_s),
                **NO_PROCESS,
            )
            .returning(Run.id, Run.attempt)
        )
        return Claim(*connection.execute(claim).one())


def record_process(
    engine: Engine, run_id: str, attempt: int, *, host: str, pid: int, started_at: float
) -> None:
    """Remember the process that trains an attempt; nothing happens if the attempt is over.

    Args:
        engine: The database.
        run_id: The run.
        attempt: As it was claimed.
        host: Machine that the process runs on.
        pid: Its id there.
        started_at: When it started, as ``psutil.Process.create_time`` says.
    """
    process = {"process_host": host, "process_pid": pid, "process_started_at": started_at}
    with writing(engine) as connection:
        connection.execute(update(Run).where(_is_live(run_id, attempt)).values(process))


def live_processes(engine: Engine, host: str) -> list[LiveProcess]:
    """The processes recorded on a host for runs that have not ended, by run."""
    statement = (
        select(Run.id, Run.attempt, Run.process_pid, Run.process_started_at, Run.worker_id)
        .where(Run.status.in_(LIVE_STATUSES), Run.process_host == host)
        .order_by(Run.id)
    )
    with engine.connect() as connection:
        return [LiveProcess._make(row) for row in connection.execute(statement)]


def adopt(engine: Engine, run_id: str, attempt: int, *, worker_id: str) -> bool:
    """Make a worker responsible for a process that an earlier worker left running.

    Returns:
        Whether the attempt is still live, so that its process should be watched.
    """
    statement = update(Run).where(_is_live(run_id, attempt)).values(worker_id=worker_id)
    with writing(engine) as connection:
        return connection.execute(statement).rowcount == 1


def requeue(engine: Engine, run_id: str, attempt: int, reason: str, *, counts: bool) -> RunStatus:
    """Send a live attempt's run back to its place in the queue, the attempt fenced out.

    A run that was asked to stop is stopped instead. Nothing happens to a run that has ended, waits
    already, or is at a newer attempt.

    Args:
        engine: The database.
        run_id: The run.
        attempt: The attempt that is over.
        reason: What happened to it, for people.
        counts: Whether it died: after ``MAX_REQUEUES`` of those the run fails.

    Returns:
        The run's status from now on.

    Raises:
        UnknownRunError: If there is no such run.
    """
    with writing(engine) as connection:
        _requeue(connection, _is_live(run_id, attempt), reason, counts=counts)
        return status_of(connection, run_id)


def end_attempt(
    engine: Engine,
    run_id: str,
    attempt: int,
    status: Literal["stopped", "failed"],
    reason: str,
) -> bool:
    """Close a live attempt's run for good; returns False when the attempt was over already."""
    with writing(engine) as connection:
        return bool(end(connection, _is_live(run_id, attempt), status, reason))


def requeue_expired(engine: Engine, now: datetime) -> list[str]:
    """Take back the runs whose lease is over.

    Runs of the queue are requeued as in :func:`requeue` and counted; external ones, whose process
    is somebody else's, become ``lost``.

    Returns:
        Ids of the runs that changed.
    """
    is_over = and_(Run.status.in_(LIVE_STATUSES), lease_is_over(now))
    expired = select(Run.id).where(is_over, Run.origin.in_(("queue", "external")))
    with engine.connect() as connection:
        if connection.execute(expired.limit(1)).first() is None:
            return []
    with writing(engine) as connection:
        lost = end(connection, and_(is_over, Run.origin == "external"), "lost", LEASE_OVER)
        is_ours = and_(is_over, Run.origin == "queue")
        return lost + _requeue(connection, is_ours, LEASE_OVER, counts=True)


def status_of(connection: Connection, run_id: str) -> RunStatus:
    """A run's status within the caller's transaction.

    Raises:
        UnknownRunError: If there is no such run.
    """
    statement = select(Run.status).where(Run.id == run_id)
    status = connection.execute(statement).scalar_one_or_none()
    if status is None:
        raise no_such_run(run_id)
    return cast("RunStatus", status)


def _requeue(
    connection: Connection, which: ColumnElement[bool], reason: str, *, counts: bool
) -> list[str]:
    # locked first: somebody who asks for a stop meanwhile waits, and then finds the run queued
    locked = connection.execute(select(Run.id).where(which).with_for_update())
    run_ids = list(locked.scalars())
    if not run_ids:
        return []
    asked = and_(RequestedControl.run_id == Run.id, RequestedControl.command == "stop")
    is_asked_to_stop = and_(Run.id.in_(run_ids), exists().where(asked))
    ended = end(connection, is_asked_to_stop, "stopped", f"stopped as asked; {reason}")
    is_left = and_(Run.id.in_(run_ids), Run.id.not_in(ended))
    if counts:
        given_up = f"{reason}; it was tried again {MAX_REQUEUES} times: see the log, then resume it"
        is_hopeless = and_(is_left, Run.num_requeues >= MAX_REQUEUES)
        ended += end(connection, is_hopeless, "failed", given_up)
        is_left = and_(Run.id.in_(run_ids), Run.id.not_in(ended))
    values = {"status": "queued", "status_reason": reason, "lease_until": None, "worker_id": None}
    requeued = update(Run).where(is_left).values(values | NO_PROCESS)
    connection.execute(requeued.values(num_requeues=Run.num_requeues + int(counts)))
    return run_ids


def _is_live(run_id: str, attempt: int) -> ColumnElement[bool]:
    return and_(Run.id == run_id, Run.attempt == attempt, Run.status.in_(LIVE_STATUSES))
