"""The queue is rows: order, claim, requeue and hold are conditional updates that one caller wins.

Runs and evaluations on benchmarks wait as ``queued`` in one order (priority, position), so that
neither can starve the other. Whoever claims one begins its next attempt; every older attempt is
fenced out from then on. Correct on SQLite, where writers take turns, and on PostgreSQL, where the
rows looked at are locked until the commit.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Literal, NamedTuple, cast

from sqlalchemy import ColumnElement, Connection, Engine, Select, and_, exists, select, update

from rankscope.models.events import LIVE_STATUSES, RunStatus
from rankscope.storage.database import writing
from rankscope.storage.ending import end, lease_is_over
from rankscope.storage.errors import no_such_evaluation, no_such_run
from rankscope.storage.tables import BenchmarkEvaluation, RequestedControl, Run

MAX_REQUEUES = 3
"""A run whose process keeps dying is given up after so many new tries."""
LEASE_OVER = "its process gave no sign of life until its lease was over"
NO_PROCESS: dict[str, None] = {
    "process_host": None,
    "process_pid": None,
    "process_started_at": None,
}
"""Values of a row whose run no process trains."""


Job = type[Run] | type[BenchmarkEvaluation]
"""Which kind of row waits."""


class Claim(NamedTuple):
    """A run, or an evaluation, that the claimer, and nobody else, may now start."""

    run_id: str
    attempt: int


class LiveProcess(NamedTuple):
    """The process of a live run or evaluation; ``started_at`` tells it from a later one."""

    run_id: str
    attempt: int
    pid: int
    started_at: float
    worker_id: str | None


def next_job(engine: Engine, queues: Sequence[str]) -> Job | None:
    """Whether a run or an evaluation is the next of the queues; None when nothing waits."""
    jobs: tuple[Job, ...] = (Run, BenchmarkEvaluation)
    with engine.connect() as connection:
        firsts = [
            (tuple(first), job)
            for job in jobs
            if (first := connection.execute(_waiting(job, queues)).one_or_none()) is not None
        ]
    return min(firsts, key=lambda found: found[0][:2])[1] if firsts else None


def claim_next(
    engine: Engine, queues: Sequence[str], *, worker_id: str, lease_s: float, job: Job = Run
) -> Claim | None:
    """Take the most urgent waiting run of the queues, or None when none waits.

    Args:
        engine: The database.
        queues: Names of the queues to look in.
        worker_id: Who takes it.
        lease_s: Seconds within which its process must give a sign of life.
        job: Whether a run or an evaluation.
    """
    # locked: a second claimer waits here, then finds the next run
    best = _waiting(job, queues).with_only_columns(job.id).with_for_update()
    with writing(engine) as connection:
        run_id = connection.execute(best).scalar_one_or_none()
        if run_id is None:
            return None
        claim = (
            update(job)
            .where(job.id == run_id, job.status == "queued")
            .values(
                status="starting",
                status_reason="",
                attempt=job.attempt + 1,
                worker_id=worker_id,
                lease_until=datetime.now(UTC) + timedelta(seconds=lease_s),
                **NO_PROCESS,
            )
            .returning(job.id, job.attempt)
        )
        return Claim(*connection.execute(claim).one())


def record_process(
    engine: Engine,
    run_id: str,
    attempt: int,
    *,
    host: str,
    pid: int,
    started_at: float,
    job: Job = Run,
) -> None:
    """Remember the process of an attempt; nothing happens if the attempt is over.

    Args:
        engine: The database.
        run_id: The run or evaluation.
        attempt: As it was claimed.
        host: Machine that the process runs on.
        pid: Its id there.
        started_at: When it started, as ``psutil.Process.create_time`` says.
        job: Which of the two.
    """
    process = {"process_host": host, "process_pid": pid, "process_started_at": started_at}
    with writing(engine) as connection:
        connection.execute(update(job).where(_is_live(job, run_id, attempt)).values(process))


def live_processes(engine: Engine, host: str, job: Job = Run) -> list[LiveProcess]:
    """The processes recorded on a host for runs, or evaluations, that have not ended, by id."""
    statement = (
        select(job.id, job.attempt, job.process_pid, job.process_started_at, job.worker_id)
        .where(job.status.in_(LIVE_STATUSES), job.process_host == host)
        .order_by(job.id)
    )
    with engine.connect() as connection:
        return [LiveProcess._make(row) for row in connection.execute(statement)]


def adopt(engine: Engine, run_id: str, attempt: int, *, worker_id: str, job: Job = Run) -> bool:
    """Make a worker responsible for a process that an earlier worker left running.

    Returns:
        Whether the attempt is still live, so that its process should be watched.
    """
    statement = update(job).where(_is_live(job, run_id, attempt)).values(worker_id=worker_id)
    with writing(engine) as connection:
        return connection.execute(statement).rowcount == 1


def requeue(
    engine: Engine, run_id: str, attempt: int, reason: str, *, counts: bool, job: Job = Run
) -> RunStatus:
    """Send a live attempt's run back to its place in the queue, the attempt fenced out.

    A run that was asked to stop is stopped instead. Nothing happens to a run that has ended, waits
    already, or is at a newer attempt.

    Args:
        engine: The database.
        run_id: The run or evaluation.
        attempt: The attempt that is over.
        reason: What happened to it, for people.
        counts: Whether it died: after ``MAX_REQUEUES`` of those the run fails.
        job: Which of the two.

    Returns:
        The run's status from now on.

    Raises:
        UnknownRunError: If there is no such run.
    """
    with writing(engine) as connection:
        _requeue(connection, job, _is_live(job, run_id, attempt), reason, counts=counts)
        return status_of(connection, run_id, job)


def end_attempt(
    engine: Engine,
    run_id: str,
    attempt: int,
    status: Literal["stopped", "failed"],
    reason: str,
    job: Job = Run,
) -> bool:
    """Close a live attempt's run for good; returns False when the attempt was over already."""
    with writing(engine) as connection:
        return bool(end(connection, _is_live(job, run_id, attempt), status, reason, job))


def requeue_expired(engine: Engine, now: datetime, job: Job = Run) -> list[str]:
    """Take back the runs, or evaluations, whose lease is over.

    Runs of the queue are requeued as in :func:`requeue` and counted; external ones, whose process
    is somebody else's, become ``lost``.

    Returns:
        Ids of the runs that changed.
    """
    is_over = and_(job.status.in_(LIVE_STATUSES), lease_is_over(now, job))
    expired = select(job.id).where(is_over, job.origin.in_(("queue", "external")))
    with engine.connect() as connection:
        if connection.execute(expired.limit(1)).first() is None:
            return []
    with writing(engine) as connection:
        lost = end(connection, and_(is_over, job.origin == "external"), "lost", LEASE_OVER, job)
        is_ours = and_(is_over, job.origin == "queue")
        return lost + _requeue(connection, job, is_ours, LEASE_OVER, counts=True)


def status_of(connection: Connection, run_id: str, job: Job = Run) -> RunStatus:
    """A run's status within the caller's transaction.

    Raises:
        UnknownRunError: If there is no such run.
        UnknownEvaluationError: If there is no such evaluation.
    """
    statement = select(job.status).where(job.id == run_id)
    status = connection.execute(statement).scalar_one_or_none()
    if status is None:
        raise no_such_run(run_id) if job is Run else no_such_evaluation(run_id)
    return cast("RunStatus", status)


def _waiting(job: Job, queues: Sequence[str]) -> Select[int, float, str]:
    return (
        select(job.priority, job.position, job.id)
        .where(job.status == "queued", job.is_held.is_(False), job.queue.in_(queues))
        .order_by(job.priority, job.position, job.id)
        .limit(1)
    )


def _requeue(
    connection: Connection, job: Job, which: ColumnElement[bool], reason: str, *, counts: bool
) -> list[str]:
    # locked first: somebody who asks for a stop meanwhile waits, and then finds the run queued
    locked = connection.execute(select(job.id).where(which).with_for_update())
    run_ids = list(locked.scalars())
    if not run_ids:
        return []
    is_asked_to_stop = and_(job.id.in_(run_ids), _is_asked_to_stop(job))
    ended = end(connection, is_asked_to_stop, "stopped", f"stopped as asked; {reason}", job)
    is_left = and_(job.id.in_(run_ids), job.id.not_in(ended))
    if counts:
        given_up = f"{reason}; it was tried again {MAX_REQUEUES} times: see the log, then resume it"
        is_hopeless = and_(is_left, job.num_requeues >= MAX_REQUEUES)
        ended += end(connection, is_hopeless, "failed", given_up, job)
        is_left = and_(job.id.in_(run_ids), job.id.not_in(ended))
    values = {"status": "queued", "status_reason": reason, "lease_until": None, "worker_id": None}
    requeued = update(job).where(is_left).values(values | NO_PROCESS)
    connection.execute(requeued.values(num_requeues=job.num_requeues + int(counts)))
    return run_ids


def _is_asked_to_stop(job: Job) -> ColumnElement[bool]:
    if job is Run:
        asked = and_(RequestedControl.run_id == Run.id, RequestedControl.command == "stop")
        return exists().where(asked)
    return BenchmarkEvaluation.stop_asked_at.is_not(None)


def _is_live(job: Job, run_id: str, attempt: int) -> ColumnElement[bool]:
    return and_(job.id == run_id, job.attempt == attempt, job.status.in_(LIVE_STATUSES))
