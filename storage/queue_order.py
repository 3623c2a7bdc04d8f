"""The order in which queued runs are claimed: seen, changed and held back by people."""

import math
from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict
from sqlalchemy import Connection, Engine, select, update

from rankscope.storage.database import writing
from rankscope.storage.errors import RunRefusedError
from rankscope.storage.queue import status_of
from rankscope.storage.tables import Run


class QueuedRun(BaseModel):
    """A run that waits; ``step`` is where it will go on from.

    Scheduler and seed are None where a config of another version says neither.
    """

    model_config = ConfigDict(frozen=True)

    id: str
    name: str
    scheduler: str | None
    seed: int | None
    owner: str
    queue: str
    priority: int
    position: float
    is_held: bool
    created_at: datetime
    step: int
    num_steps: int
    num_requeues: int
    status_reason: str


class Place(NamedTuple):
    """Where a run stands; the lowest goes first."""

    priority: int
    position: float
    run_id: str


Moves = dict[str, tuple[int, float]]
"""New priority and position by run."""


def queue_listing(engine: Engine) -> list[QueuedRun]:
    """The runs that wait, the next to be claimed first."""
    config = Run.config
    statement = (
        select(
            *(Run.id, Run.name, Run.owner, Run.queue, Run.priority, Run.position, Run.is_held),
            *(Run.created_at, Run.step, Run.num_steps, Run.num_requeues, Run.status_reason),
            config["scheduler"]["kind"].as_string().label("scheduler"),
            config["seed"].as_integer().label("seed"),
        )
        .where(Run.status == "queued")
        .order_by(Run.priority, Run.position, Run.id)
    )
    with engine.connect() as connection:
        rows = connection.execute(statement).mappings()
        return [QueuedRun.model_validate(dict(row)) for row in rows]


def hold(engine: Engine, run_id: str) -> None:
    """Keep a queued run from being claimed until it is released.

    Raises:
        UnknownRunError: If there is no such run.
        RunRefusedError: If it does not wait.
    """
    _set_held(engine, run_id, is_held=True)


def release(engine: Engine, run_id: str) -> None:
    """Let a held run be claimed again; raises as :func:`hold`."""
    _set_held(engine, run_id, is_held=False)


def move_up(engine: Engine, run_id: str) -> None:
    """Change places with the run before it in its queue; the first stays; raises as `hold`."""
    _move(engine, run_id, moved_up)


def move_down(engine: Engine, run_id: str) -> None:
    """Change places with the run after it in its queue; the last stays; raises as `hold`."""
    _move(engine, run_id, moved_down)


def move_first(engine: Engine, run_id: str) -> None:
    """Make it the first of its queue, with the first's priority; raises as `hold`."""
    _move(engine, run_id, moved_first)


def moved_up(places: list[Place], index: int) -> Moves:
    """The two runs that change places; none if the run is the first.

    Args:
        places: One queue, in order.
        index: Which of them moves.
    """
    return _swapped(places[index - 1], places[index]) if index > 0 else {}


def moved_down(places: list[Place], index: int) -> Moves:
    """As :func:`moved_up`, the other way."""
    return _swapped(places[index], places[index + 1]) if index + 1 < len(places) else {}


def moved_first(places: list[Place], index: int) -> Moves:
    """The run before all others; the others keep their places."""
    if index == 0:
        return {}
    first = places[0]
    return {places[index].run_id: (first.priority, first.position - 1.0)}


def _swapped(before: Place, after: Place) -> Moves:
    if before[:2] != after[:2]:
        return {before.run_id: after[:2], after.run_id: before[:2]}
    # equal in all but the id, which cannot be exchanged: the smallest step that tells them apart
    return {after.run_id: (after.priority, math.nextafter(after.position, -math.inf))}


def _move(engine: Engine, run_id: str, rule: Callable[[list[Place], int], Moves]) -> None:
    with writing(engine) as connection:
        queue = _queue_of(connection, run_id)
        waiting = (
            select(Run.priority, Run.position, Run.id)
            .where(Run.status == "queued", Run.queue == queue)
            .order_by(Run.id)  # two movers lock in one order, so that neither waits for ever
            .with_for_update()
        )
        places = sorted(Place(*row) for row in connection.execute(waiting))
        index = next((i for i, place in enumerate(places) if place.run_id == run_id), None)
        if index is None:
            raise _refused(connection, run_id)
        for moved_id, (priority, position) in rule(places, index).items():
            values = {"priority": priority, "position": position}
            connection.execute(update(Run).where(Run.id == moved_id).values(values))


def _set_held(engine: Engine, run_id: str, *, is_held: bool) -> None:
    is_waiting = (Run.id == run_id, Run.status == "queued")
    with writing(engine) as connection:
        if connection.execute(update(Run).where(*is_waiting).values(is_held=is_held)).rowcount != 1:
            raise _refused(connection, run_id)


def _queue_of(connection: Connection, run_id: str) -> str:
    queue = connection.execute(select(Run.queue).where(Run.id == run_id)).scalar_one_or_none()
    return queue or ""


def _refused(connection: Connection, run_id: str) -> RunRefusedError:
    status = status_of(connection, run_id)
    return RunRefusedError(
        f"only a run that waits in the queue can be moved or held, got {run_id} which is {status}; "
        "choose a queued one"
    )
