"""Who works: every worker process writes its row every few seconds; health is the row's age."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from pydantic import BaseModel, ConfigDict
from sqlalchemy import Engine, ScalarSelect, and_, delete, func, select
from sqlalchemy.dialects import postgresql, sqlite

from rankscope.models.events import LIVE_STATUSES
from rankscope.storage.database import writing
from rankscope.storage.queue import Job
from rankscope.storage.tables import BenchmarkEvaluation, Run, Worker

ALIVE_S = 10.0
"""A worker not seen for longer is shown as gone: five beats of two seconds."""


@dataclass(frozen=True)
class WorkerBeat:
    """What a worker says of itself; memory is the machine's, or its accelerator's."""

    id: str
    host: str
    pid: int
    queues: Sequence[str]
    num_slots: int
    device: str
    memory_bytes: int | None
    memory_used_bytes: int | None
    version: str


class WorkerState(BaseModel):
    """A worker as others see it."""

    model_config = ConfigDict(frozen=True)

    id: str
    host: str
    pid: int
    device: str | None
    queues: tuple[str, ...]
    num_slots: int
    num_busy: int
    memory_bytes: int | None
    memory_used_bytes: int | None
    started_at: datetime
    seen_s: float
    is_alive: bool
    version: str | None


def beat(engine: Engine, worker: WorkerBeat) -> None:
    """Say that a worker is alive, for the first time or again."""
    now = datetime.now(UTC)
    said = {
        "host": worker.host,
        "pid": worker.pid,
        "queues": list(worker.queues),
        "num_slots": worker.num_slots,
        "seen_at": now,
        "device": worker.device,
        "memory_bytes": worker.memory_bytes,
        "memory_used_bytes": worker.memory_used_bytes,
        "version": worker.version,
    }
    dialect = postgresql if engine.dialect.name == "postgresql" else sqlite
    row = dialect.insert(Worker).values(id=worker.id, started_at=now, **said)
    with writing(engine) as connection:
        connection.execute(row.on_conflict_do_update(index_elements=["id"], set_=said))


def remove(engine: Engine, worker_id: str) -> None:
    """Forget a worker that ends as it should."""
    with writing(engine) as connection:
        connection.execute(delete(Worker).where(Worker.id == worker_id))


def list_workers(engine: Engine, now: datetime) -> list[WorkerState]:
    """All workers, the longest at work first, with how much each is responsible for."""
    num_busy = _num_live(Run) + _num_live(BenchmarkEvaluation)
    columns = Worker.__table__.c
    statement = select(*columns, num_busy.label("num_busy")).order_by(Worker.started_at, Worker.id)
    with engine.connect() as connection:
        rows = connection.execute(statement).mappings().all()
    return [WorkerState.model_validate({**row, **_age(row["seen_at"], now)}) for row in rows]


def forget_dead(engine: Engine, older_than_s: float) -> None:
    """Forget workers that nobody has seen for so long."""
    oldest = datetime.now(UTC) - timedelta(seconds=older_than_s)
    with writing(engine) as connection:
        connection.execute(delete(Worker).where(Worker.seen_at < oldest))


def _num_live(job: Job) -> ScalarSelect[int]:
    is_its = and_(job.worker_id == Worker.id, job.status.in_(LIVE_STATUSES))
    return select(func.count()).select_from(job).where(is_its).scalar_subquery()


def _age(seen_at: datetime, now: datetime) -> dict[str, float | bool]:
    # clocks of two machines differ a little: nobody was seen in the future
    seen_s = max(0.0, (now - seen_at).total_seconds())
    return {"seen_s": seen_s, "is_alive": seen_s <= ALIVE_S}
