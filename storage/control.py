"""What people ask of a live run: left in the database, taken up by its trainer between steps."""

from datetime import UTC, datetime
from typing import get_args

from sqlalchemy import Engine, and_, delete, insert, select
from sqlalchemy.exc import IntegrityError

from rankscope.models.events import OPEN_STATUSES
from rankscope.storage.choices import Control
from rankscope.storage.database import writing
from rankscope.storage.errors import RunRefusedError
from rankscope.storage.finding import resolve_run
from rankscope.storage.tables import RequestedControl, Run


def request_control(engine: Engine, run_id: str, command: Control) -> None:
    """Ask an open run for something; asking twice is asking once.

    Raises:
        UnknownRunError: If there is no such run.
        RunRefusedError: If the run has ended.
    """
    known = resolve_run(engine, run_id)
    row = {"run_id": known, "command": command, "requested_at": datetime.now(UTC)}
    try:
        with writing(engine) as connection:
            # the lock keeps the run from ending between the look and the request
            is_this = select(Run.status).where(Run.id == known).with_for_update()
            status = connection.execute(is_this).scalar_one()
            if status not in OPEN_STATUSES:
                raise RunRefusedError(
                    f"{command} needs a run that is live, got {known} which is {status}; "
                    "see the live ones with: rankscope runs"
                )
            connection.execute(insert(RequestedControl).values(row))
    except IntegrityError:
        return


def take_control(engine: Engine, run_id: str, attempt: int) -> frozenset[Control]:
    """Take up what was asked since the last call; costs one read when nothing was.

    Only the run's present attempt is told. A stop is told until the run has ended: a trainer that
    dies or hangs after it was told must not train on in its next attempt.
    """
    is_present = select(Run.id).where(Run.id == run_id, Run.attempt == attempt).exists()
    asked = and_(RequestedControl.run_id == run_id, is_present)
    with engine.connect() as connection:
        commands = set(connection.execute(select(RequestedControl.command).where(asked)).scalars())
    if commands - {"stop"}:
        with writing(engine) as connection:
            is_once = and_(asked, RequestedControl.command != "stop")
            connection.execute(delete(RequestedControl).where(is_once))
    return frozenset(command for command in get_args(Control) if command in commands)
