"""A run's row from its creation over its attempts to its end; events come by the sink."""

from datetime import UTC, datetime, timedelta

from pydantic import ValidationError
from sqlalchemy import Engine, and_, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from rankscope.models.config import RunConfig
from rankscope.models.data.record import DataRecord
from rankscope.models.events import OPEN_STATUSES
from rankscope.models.external import ExternalRun
from rankscope.models.inventory import Inventory
from rankscope.storage.choices import Origin
from rankscope.storage.control import request_control, take_control
from rankscope.storage.database import writing
from rankscope.storage.ending import fail_abandoned_foreground_runs, fail_run, lease_is_over
from rankscope.storage.errors import OtherVersionError, RunRefusedError, StorageError, no_such_run
from rankscope.storage.finding import RunFilter, list_runs, resolve_run
from rankscope.storage.ids import new_id
from rankscope.storage.packing import pack_model, unpack_json
from rankscope.storage.run_record import Parent, RunRecord
from rankscope.storage.tables import Run

__all__ = [
    "Parent",
    "RunFilter",
    "RunRecord",
    "begin_attempt",
    "create_run",
    "fail_abandoned_foreground_runs",
    "fail_run",
    "get_run",
    "list_runs",
    "request_control",
    "resolve_run",
    "set_data_record",
    "set_inventory",
    "take_control",
]

NORMAL_PRIORITY = 5
"""0 is the most urgent, 9 can wait."""
DEFAULT_QUEUE = "default"
START_GRACE_S = 120.0
"""How long a run outside the queue may take to begin its first attempt (torch imports slowly)."""


def create_run(
    engine: Engine,
    config: RunConfig | ExternalRun,
    *,
    origin: Origin,
    owner: str,
    idempotency_key: str | None = None,
    parent: Parent | None = None,
    priority: int = NORMAL_PRIORITY,
    queue: str = DEFAULT_QUEUE,
    inventory: Inventory | None = None,
    budget_params: int | None = None,
) -> str:
    """Add a run and return its id; name and tags are the config's.

    A run of the queue waits as ``queued``; any other is ``starting`` and has ``START_GRACE_S`` to
    begin its attempt.

    Args:
        engine: The database.
        config: What to run.
        origin: Who starts it.
        owner: Account or user name.
        idempotency_key: The same key always gives the same run, however many ask at once.
        parent: The run and step it is forked from.
        priority: 0 is the most urgent.
        queue: Whose workers may take it.
        inventory: The modules it adapts, where they are known before it begins.
        budget_params: Its budget in adapter parameters, likewise.

    Raises:
        RunRefusedError: If the key belongs to a run of another config.
    """
    row = _new_row(config, origin, owner, idempotency_key, priority)
    row |= {"queue": queue, "budget_params": budget_params}
    if inventory is not None:
        row["inventory"] = pack_model(inventory)
    if parent is not None:
        row |= {"parent_run_id": parent.run_id, "parent_step": parent.step}
    known = _run_of_key(engine, idempotency_key, config)
    if known is not None:
        return known
    while True:
        try:
            with writing(engine) as connection:
                connection.execute(insert(Run).values(row))
            break
        except IntegrityError as error:
            known = _run_of_key(engine, idempotency_key, config)
            if known is not None:
                return known
            if parent is not None:
                get_run(engine, parent.run_id)
            if not _is_taken(engine, str(row["id"])):
                raise StorageError(
                    f"the run could not be stored ({error.orig}); try again"
                ) from error
            row["id"] = new_id()
    return str(row["id"])


def get_run(engine: Engine, run_id: str) -> RunRecord:
    """One run by its full id.

    Raises:
        UnknownRunError: If there is none.
        OtherVersionError: If its config was made by an incompatible version.
    """
    with engine.connect() as connection:
        row = connection.execute(select(Run).where(Run.id == run_id)).mappings().one_or_none()
    if row is None:
        raise no_such_run(run_id)
    values = {name: row[name] for name in RunRecord.model_fields if name in row}
    values["described"] = row["config"]
    packed, parent_id = row["inventory"], row["parent_run_id"]
    if packed is not None:
        values["inventory"] = Inventory.model_validate_json(unpack_json(packed))
    values["parent"] = None if parent_id is None else Parent(parent_id, row["parent_step"] or 0)
    try:
        return RunRecord.model_validate(values)
    except ValidationError as error:
        raise OtherVersionError(
            f"run {run_id} must fit this version's config, it does not "
            f"({error.errors()[0]['msg']}); read it with the version that made it"
        ) from error


def begin_attempt(engine: Engine, run_id: str, *, worker_id: str | None, lease_s: float) -> int:
    """Take a run over: one conditional update, so of several processes exactly one wins.

    A run can begin when it waits, when it ended without being done, or when its lease has expired.
    From here on every older attempt is fenced out. Leases are compared by this machine's clock:
    hosts must agree to well within ``lease_s``.

    Returns:
        The number of the attempt, 1 for the first.

    Raises:
        RunRefusedError: If the run is live elsewhere, or done.
        UnknownRunError: If there is no such run.
    """
    now = datetime.now(UTC)
    ended = OPEN_STATUSES | {"done"}
    can_begin = or_(
        Run.attempt == 0, Run.status.not_in(ended), and_(Run.status != "done", lease_is_over(now))
    )
    statement = (
        update(Run)
        .where(Run.id == run_id, can_begin)
        .values(
            attempt=Run.attempt + 1,
            status="starting",
            status_reason="",
            worker_id=worker_id,
            lease_until=now + timedelta(seconds=lease_s),
            ended_at=None,
            final_params=None,
        )
        .returning(Run.attempt)
    )
    with writing(engine) as connection:
        attempt = connection.execute(statement).scalar_one_or_none()
    if attempt is not None:
        return attempt
    run = get_run(engine, run_id)
    if run.status == "done":
        raise RunRefusedError(f"a run that is done cannot begin again, got {run_id}; fork it")
    raise RunRefusedError(
        f"a run must not be live to begin, got {run_id} {run.status} (attempt {run.attempt}, "
        f"lease until {run.lease_until}); stop it or wait"
    )


def set_inventory(
    engine: Engine,
    run_id: str,
    inventory: Inventory,
    *,
    budget_params: int,
    other_trainable_params: int = 0,
) -> None:
    """Fix the modules that the run's rank changes count in, and its sizes in parameters.

    Raises:
        RunRefusedError: If the run already has another inventory: what it recorded would change its
            meaning.
        UnknownRunError: If there is no such run.
    """
    known = get_run(engine, run_id).inventory
    if known not in (None, inventory):
        raise RunRefusedError(
            f"a run keeps the modules it began with, got others for {run_id}; start a new run"
        )
    with writing(engine) as connection:
        connection.execute(
            update(Run)
            .where(Run.id == run_id)
            .values(
                inventory=pack_model(inventory),
                budget_params=budget_params,
                other_trainable_params=other_trainable_params,
            )
        )


def set_data_record(engine: Engine, run_id: str, record: DataRecord) -> None:
    """Remember what a run's data held when it began.

    Raises:
        RunRefusedError: If the run began with other data: what it learned and will learn would not
            belong together.
        UnknownRunError: If there is no such run.
    """
    known = get_run(engine, run_id).data_record
    if known is not None and known.content_hash != record.content_hash:
        raise RunRefusedError(
            f"a run goes on with the data it began with, those of {run_id} have changed "
            f"(SHA-256 {known.content_hash[:12]} then, {record.content_hash[:12]} now); put them "
            "back or start a new run"
        )
    with writing(engine) as connection:
        connection.execute(
            update(Run).where(Run.id == run_id).values(data_record=record.model_dump(mode="json"))
        )


def _run_of_key(engine: Engine, key: str | None, config: RunConfig | ExternalRun) -> str | None:
    if key is None:
        return None
    with engine.connect() as connection:
        statement = select(Run.id, Run.config_hash).where(Run.idempotency_key == key)
        row = connection.execute(statement).one_or_none()
    if row is None:
        return None
    if row.config_hash != config.hash():
        raise RunRefusedError(
            f"an idempotency key must stand for one config, got {key!r} which is run {row.id} "
            "of another config; use a new key"
        )
    return str(row.id)


def _is_taken(engine: Engine, run_id: str) -> bool:
    """Of a hundred runs made in one second, two draw the same id once in two hundred times."""
    with engine.connect() as connection:
        return connection.execute(select(Run.id).where(Run.id == run_id)).first() is not None


def _new_row(
    config: RunConfig | ExternalRun, origin: Origin, owner: str, key: str | None, priority: int
) -> dict[str, object]:
    now = datetime.now(UTC)
    is_queued = origin == "queue"
    return {
        "id": new_id(),
        "name": config.name,
        "tags": list(config.tags),
        "owner": owner,
        "origin": origin,
        "config": config.model_dump(mode="json"),
        "config_hash": config.hash(),
        "config_version": config.version,
        "idempotency_key": key,
        "status": "queued" if is_queued else "starting",
        "status_reason": "",
        "priority": priority,
        "position": now.timestamp(),
        "attempt": 0,
        "lease_until": None if is_queued else now + timedelta(seconds=START_GRACE_S),
        "created_at": now,
        "step": 0,
        "num_steps": config.training.steps,
        "last_event_id": 0,
        "log_path": "log.txt",
    }
