"""Find runs: by the start of an id, or as a table of those that match a filter."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Engine, Select, Text, cast, select

from rankscope.models.events import RunStatus
from rankscope.storage.choices import Origin
from rankscope.storage.errors import UnknownRunError
from rankscope.storage.tables import Evaluation, Run

if TYPE_CHECKING:
    import pandas as pd

_SHOWN_MATCHES = 5


class RunFilter(BaseModel):
    """Which runs to list; what is left empty does not restrict."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    statuses: frozenset[RunStatus] = frozenset()
    origins: frozenset[Origin] = frozenset()
    owner: str = ""
    tag: str = ""
    name_contains: str = ""
    limit: int = Field(1000, ge=1, description="Newest runs first.")


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

    which = which or RunFilter()
    with engine.connect() as connection:
        result = connection.execute(_restrict(_listing(), which))
        names, rows = list(result.keys()), [tuple(row) for row in result]
    tags = names.index("tags")
    if which.tag:  # the database matches text, where one tag may sit inside another
        rows = [row for row in rows if which.tag in row[tags]]
    return pd.DataFrame(rows, columns=names)


def _listing() -> Select[tuple[object, ...]]:
    accuracy = (
        select(Evaluation.accuracy)
        .where(Evaluation.run_id == Run.id, Evaluation.part == "test", Evaluation.kind == "after")
        .order_by(Evaluation.event_id.desc())
        .limit(1)
        .scalar_subquery()
    )
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
        Run.step,
        Run.num_steps,
        Run.budget_params,
        Run.max_live_params,
        Run.final_params,
        accuracy.label("accuracy"),
        Run.created_at,
        Run.started_at,
        Run.ended_at,
    )


def _restrict(
    statement: Select[tuple[object, ...]], which: RunFilter
) -> Select[tuple[object, ...]]:
    if which.statuses:
        statement = statement.where(Run.status.in_(which.statuses))
    if which.origins:
        statement = statement.where(Run.origin.in_(which.origins))
    if which.owner:
        statement = statement.where(Run.owner == which.owner)
    if which.tag:
        statement = statement.where(
            cast(Run.tags, Text).contains(json.dumps(which.tag), autoescape=True)
        )
    if which.name_contains:
        statement = statement.where(Run.name.icontains(which.name_contains, autoescape=True))
    return statement.order_by(Run.created_at.desc(), Run.id.desc()).limit(which.limit)
