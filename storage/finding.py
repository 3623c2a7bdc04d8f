"""Find runs: by the start of an id, or as a table of those that match a filter."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import ColumnElement, Engine, Select, Text, and_, cast, func, or_, select

from rankscope.models.events import RunStatus
from rankscope.storage.choices import Origin
from rankscope.storage.errors import UnknownRunError, no_such_run
from rankscope.storage.tables import Evaluation, Run

if TYPE_CHECKING:
    import pandas as pd

_SHOWN_MATCHES = 5


class RunFilter(BaseModel):
    """Which runs to list; what is left empty does not restrict."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    statuses: frozenset[RunStatus] = frozenset()
    origins: frozenset[Origin] = frozenset()
    schedulers: frozenset[str] = frozenset()
    owner: str = ""
    tag: str = ""
    name_contains: str = ""
    data_contains: str = Field("", description="In the kind of the data set or its task.")
    words: str = Field("", description="Each of them in the id, the name or a tag.")
    budget_min: int | None = Field(None, description="Parameters, itself included.")
    budget_max: int | None = Field(None, description="Parameters, itself included.")
    limit: int = Field(1000, ge=1, description="Newest runs first.")
    offset: int = Field(0, ge=0, description="So many of the newest are left out.")


class FoundRuns(NamedTuple):
    """Runs of a listing, and how many there would be without its limit."""

    runs: list[dict[str, Any]]
    total: int


def resolve_run(engine: Engine, prefix: str) -> str:
    """The full id of the only run whose id begins with ``prefix``.

    Raises:
        UnknownRunError: If there is none, or more than one.
    """
    start = prefix.strip().lower()
    begins = Run.id.startswith(start, autoescape=True)
    statement = select(Run.id).where(begins).order_by(Run.id).limit(_SHOWN_MATCHES + 1)
    with engine.connect() as connection:
        found = list(connection.execute(statement).scalars()) if start else []
    if start in found or len(found) == 1:
        return found[0]
    if not found:
        raise UnknownRunError(
            f"RUN must be the start of a run's id, got {prefix!r} which no run has; "
            "see them with: rankscope runs"
        )
    shown = ", ".join(found[:_SHOWN_MATCHES])
    more = ", ..." if len(found) > _SHOWN_MATCHES else ""
    raise UnknownRunError(
        f"RUN must be the start of one run's id, got {prefix!r} which fits {shown}{more}; "
        "give more characters"
    )


def list_runs(engine: Engine, which: RunFilter | None = None) -> pd.DataFrame:
    """Runs as a table, newest first; ``accuracy`` is that of the test after training."""
    # pandas takes half a second to import: who only trains should not wait for it
    import pandas as pd

    found = find_runs(engine, which or RunFilter())
    return pd.DataFrame(found.runs, columns=list(_listing().selected_columns.keys()))


def find_runs(engine: Engine, which: RunFilter) -> FoundRuns:
    """Runs as mappings, newest first.

    ``accuracy`` is that of the test after training over ``num_items`` items, both None before.
    """
    conditions = _conditions(which)
    newest_first = (Run.created_at.desc(), Run.id.desc())
    listing = _listing().where(*conditions).order_by(*newest_first)
    counting = select(func.count()).select_from(Run).where(*conditions)
    with engine.connect() as connection:
        rows = connection.execute(listing.limit(which.limit).offset(which.offset)).mappings()
        runs = [dict(row) for row in rows]
        is_all = which.offset == 0 and len(runs) < which.limit
        total = len(runs) if is_all else connection.execute(counting).scalar_one()
    return FoundRuns(runs, total)


def find_run(engine: Engine, run_id: str) -> dict[str, Any]:
    """One run as :func:`find_runs` gives it, with its config as it was stored.

    Raises:
        UnknownRunError: If there is none of that id.
    """
    statement = _listing().add_columns(Run.config).where(Run.id == run_id)
    with engine.connect() as connection:
        row = connection.execute(statement).mappings().one_or_none()
    if row is None:
        raise no_such_run(run_id)
    return dict(row)


def _listing() -> Select[Any]:
    last_test = (
        select(func.max(Evaluation.event_id))
        .where(Evaluation.run_id == Run.id, Evaluation.part == "test", Evaluation.kind == "after")
        .correlate(Run)
        .scalar_subquery()
    )
    is_last_test = and_(Evaluation.run_id == Run.id, Evaluation.event_id == last_test)
    return select(
        Run.id,
        Run.name,
        Run.status,
        Run.status_reason,
        Run.config["scheduler"]["kind"].as_string().label("scheduler"),
        Run.config["seed"].as_integer().label("seed"),
        Run.owner,
        Run.origin,
        Run.tags,
        Run.config["model"]["kind"].as_string().label("model"),
        _data().label("data"),
        Run.step,
        Run.num_steps,
        Run.budget_params,
        Run.max_live_params,
        Run.final_params,
        Evaluation.accuracy,
        Evaluation.num_items,
        Run.created_at,
        Run.started_at,
        Run.ended_at,
        Run.queue,
        Run.is_held,
        Run.attempt,
        Run.worker_id,
        Run.lease_until,
    ).outerjoin(Evaluation, is_last_test)


def _data() -> ColumnElement[str]:
    """A data set as people call it: its kind, and its task where it has several."""
    data = Run.config["data"]
    task = func.coalesce(" " + data["task"].as_string(), "")
    called: ColumnElement[str] = data["kind"].as_string() + task
    return called


def _conditions(which: RunFilter) -> list[ColumnElement[bool]]:
    """One condition for each part of the filter that restricts."""
    conditions: list[ColumnElement[bool]] = []
    if which.statuses:
        conditions.append(Run.status.in_(which.statuses))
    if which.origins:
        conditions.append(Run.origin.in_(which.origins))
    if which.schedulers:
        kind = Run.config["scheduler"]["kind"].as_string()
        conditions.append(kind.in_(which.schedulers))
    if which.owner:
        conditions.append(Run.owner == which.owner)
    if which.tag:
        # as JSON writes a list: the quote that opens an item follows the bracket or a separator
        quoted = json.dumps(which.tag)
        tags = cast(Run.tags, Text)
        starts = (f"[{quoted}", f", {quoted}")
        conditions.append(or_(*(tags.contains(start, autoescape=True) for start in starts)))
    if which.name_contains:
        conditions.append(Run.name.icontains(which.name_contains, autoescape=True))
    if which.data_contains:
        conditions.append(_data().icontains(which.data_contains, autoescape=True))
    if which.budget_min is not None:
        conditions.append(Run.budget_params >= which.budget_min)
    if which.budget_max is not None:
        conditions.append(Run.budget_params <= which.budget_max)
    return conditions + [_has_word(word) for word in which.words.split()]


def _has_word(word: str) -> ColumnElement[bool]:
    in_tags = cast(Run.tags, Text).icontains(json.dumps(word)[1:-1], autoescape=True)
    in_name = Run.name.icontains(word, autoescape=True)
    return or_(Run.id.contains(word.lower(), autoescape=True), in_name, in_tags)
