"""A run in one flat record: what ``rankscope run --json`` prints."""

from datetime import UTC, datetime

from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Connection, Engine, case, func, select

from rankscope.models.events import EvaluationKind, EvaluationPart, RunStatus
from rankscope.storage.errors import UnknownRunError
from rankscope.storage.scheduler_failures import FAILED, scheduler_failures
from rankscope.storage.tables import (
    Evaluation,
    RankChange,
    RecordedDecision,
    RecordedMeasurement,
    Run,
)


class RunSummary(BaseModel):
    """Sizes, decisions, scores and durations of one run; None where it has not come so far."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    run: str
    status: RunStatus
    status_reason: str
    scheduler: str
    seed: int
    budget_params: int | None
    max_live_params: int | None = Field(description="Largest count on the real tensors, ever.")
    final_params: int | None
    other_trainable_params: int | None
    decisions: int = Field(description="Times the planner was asked and kept or applied.")
    scheduler_failure: str | None = Field(
        description="Why the planner was given up and ranks stayed from then on."
    )
    rank_events: int = Field(description="Changes after step 0 that moved parameters.")
    params_moved: int = Field(description="Sum over changes of half of |new - old| parameters.")
    accuracy: float | None = Field(description="On test, after training.")
    accuracy_before: float | None = Field(description="On the same items, at step 0.")
    accuracy_shuffled_images: float | None = Field(description="With every picture replaced.")
    accuracy_question_only: float | None = Field(
        description="Of each question's usual answer, no picture seen."
    )
    accuracy_validation: float | None = Field(description="The latest score on validation.")
    items: int | None = Field(description="Test items.")
    wall_s: float | None = Field(description="From the first start to the end, or to now.")
    measurement_s: float = Field(description="Spent on the planner's measurements.")
    measurement_items: int = Field(description="Forward passes over single items for them.")


def summary(engine: Engine, run_id: str) -> RunSummary:
    """Sum a run up.

    Raises:
        UnknownRunError: If there is no such run.
    """
    with engine.connect() as connection:
        return summary_within(connection, run_id)


def summary_within(connection: Connection, run_id: str) -> RunSummary:
    """Sum a run up as a transaction under way sees it.

    Raises:
        UnknownRunError: If there is no such run.
    """
    run = connection.execute(select(Run).where(Run.id == run_id)).one_or_none()
    if run is None:
        raise UnknownRunError(
            f"a run's id must exist, got {run_id!r}; see them with: rankscope runs"
        )
    after = _score(connection, run_id, "test", "after")
    before = _score(connection, run_id, "test", "before")
    shuffled = _score(connection, run_id, "test", "shuffled_images")
    question_only = _score(connection, run_id, "test", "question_only")
    validation = _score(connection, run_id, "validation", None)
    num_events, moved = _moves(connection, run_id)
    cost_s, cost_items = _cost(connection, run_id)
    asked = select(func.count()).where(
        RecordedDecision.run_id == run_id, RecordedDecision.kind != FAILED
    )
    num_decisions = connection.execute(asked).scalar_one()
    num_items = [score[1] for score in (after, before) if score]
    ended_at = run.ended_at or datetime.now(UTC)
    return RunSummary(
        run=run.id,
        status=run.status,
        status_reason=run.status_reason,
        scheduler=run.config["scheduler"]["kind"],
        seed=run.config["seed"],
        budget_params=run.budget_params,
        max_live_params=run.max_live_params,
        final_params=run.final_params,
        other_trainable_params=run.other_trainable_params,
        decisions=num_decisions,
        scheduler_failure=scheduler_failures(connection, [run_id]).get(run_id),
        rank_events=num_events,
        params_moved=moved,
        accuracy=after[0] if after else None,
        accuracy_before=before[0] if before else None,
        accuracy_shuffled_images=shuffled[0] if shuffled else None,
        accuracy_question_only=question_only[0] if question_only else None,
        accuracy_validation=validation[0] if validation else None,
        items=num_items[0] if num_items else None,
        wall_s=(ended_at - run.started_at).total_seconds() if run.started_at else None,
        measurement_s=cost_s,
        measurement_items=cost_items,
    )


def _score(
    connection: Connection, run_id: str, part: EvaluationPart, when: EvaluationKind | None
) -> tuple[float, int] | None:
    """Accuracy and number of items of the latest such score."""
    statement = select(Evaluation.accuracy, Evaluation.num_items)
    statement = statement.where(Evaluation.run_id == run_id, Evaluation.part == part)
    if when is not None:
        statement = statement.where(Evaluation.kind == when)
    row = connection.execute(statement.order_by(Evaluation.event_id.desc()).limit(1)).one_or_none()
    return None if row is None else (row.accuracy, row.num_items)


def _moves(connection: Connection, run_id: str) -> tuple[int, int]:
    """Rank changes after step 0 that moved parameters, and parameters moved in all."""
    is_late = case((RankChange.step > 0, 1), else_=0)
    total = select(
        func.coalesce(func.sum(is_late), 0), func.coalesce(func.sum(RankChange.moved_params), 0)
    ).where(
        RankChange.run_id == run_id,
        RankChange.cause.in_(("scheduler", "observed")),
        RankChange.moved_params > 0,
    )
    num_events, moved = connection.execute(total).one()
    return int(num_events), int(moved)


def _cost(connection: Connection, run_id: str) -> tuple[float, int]:
    table = RecordedMeasurement
    total = select(
        func.coalesce(func.sum(table.cost_s), 0.0), func.coalesce(func.sum(table.cost_items), 0)
    )
    cost_s, items = connection.execute(total.where(table.run_id == run_id)).one()
    return float(cost_s), int(items)
