"""What an evaluating process writes and finds again: answers, progress, score, signs of life.

Every write belongs to one attempt and is refused once that is over: whoever took the evaluation
over has all that was written before, and nothing is written twice.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from sqlalchemy import ColumnElement, Connection, Engine, and_, bindparam, insert, select, update

from rankscope.models.evaluation import EvaluationStatus
from rankscope.models.events import LIVE_STATUSES
from rankscope.storage.database import writing
from rankscope.storage.errors import FencedOutError
from rankscope.storage.tables import BenchmarkAnswer, BenchmarkEvaluation


class StoredAnswer(NamedTuple):
    """One item's answer; ``score`` is None until all are answered."""

    number: int
    key: str
    group: str
    answer: str
    score: float | None


class Attempt:
    """One attempt at an evaluation, as its process writes it.

    Args:
        engine: The database.
        evaluation_id: The evaluation.
        number: As whoever started the process began it.
        lease_s: Seconds without a word after which others may take it over.
    """

    def __init__(self, engine: Engine, evaluation_id: str, number: int, *, lease_s: float) -> None:
        self._engine = engine
        self.evaluation_id = evaluation_id
        self._number = number
        self._lease_s = lease_s

    def renew(self) -> bool:
        """A sign of life; returns whether somebody asked for a stop.

        Raises:
            FencedOutError: The attempt is over.
        """
        with writing(self._engine) as connection:
            self._change(connection, {})
            asked_at = select(BenchmarkEvaluation.stop_asked_at).where(self._is_this)
            return connection.execute(asked_at).scalar_one() is not None

    def say(self, status: EvaluationStatus, reason: str = "") -> None:
        """Where it stands; raises as :meth:`renew`."""
        with writing(self._engine) as connection:
            self._change(connection, {"status": status, "status_reason": reason})

    def begin(self, *, content_hash: str, versions: Mapping[str, str]) -> None:
        """What is asked, and by what; the first beginning is remembered. Raises as `renew`."""
        now = datetime.now(UTC)
        with writing(self._engine) as connection:
            values = {"content_hash": content_hash, "versions": dict(versions)}
            self._change(connection, values)
            is_first = and_(self._is_this, BenchmarkEvaluation.started_at.is_(None))
            connection.execute(update(BenchmarkEvaluation).where(is_first).values(started_at=now))

    def add(self, answers: Sequence[StoredAnswer], *, duration_s: float) -> None:
        """Answers that were not there yet, and the seconds they took; raises as :meth:`renew`."""
        rows = [answer._asdict() | {"evaluation_id": self.evaluation_id} for answer in answers]
        progress = {
            "num_answered": BenchmarkEvaluation.num_answered + len(rows),
            "generation_s": BenchmarkEvaluation.generation_s + duration_s,
        }
        with writing(self._engine) as connection:
            self._change(connection, progress)
            connection.execute(insert(BenchmarkAnswer), rows)

    def finish(self, stored: Mapping[str, object], item_scores: Sequence[float]) -> None:
        """Done: the score, and that of every item in item order; raises as :meth:`renew`."""
        table = BenchmarkAnswer
        with writing(self._engine) as connection:
            is_item = and_(
                table.evaluation_id == self.evaluation_id, table.number == bindparam("of_item")
            )
            scores = [{"of_item": i, "score": one} for i, one in enumerate(item_scores)]
            statement = update(table.__table__).where(is_item)  # type: ignore[arg-type]
            connection.execute(statement.values(score=bindparam("score")), scores)
            self._end(connection, {"status": "done", "status_reason": "", "score": stored})

    def end(self, status: EvaluationStatus, reason: str) -> None:
        """Stopped or failed; raises as :meth:`renew`."""
        with writing(self._engine) as connection:
            self._end(connection, {"status": status, "status_reason": reason})

    @property
    def _is_this(self) -> ColumnElement[bool]:
        return and_(
            BenchmarkEvaluation.id == self.evaluation_id,
            BenchmarkEvaluation.attempt == self._number,
            BenchmarkEvaluation.status.in_(LIVE_STATUSES),
        )

    def _end(self, connection: Connection, values: Mapping[str, object]) -> None:
        self._change(connection, {**values, "ended_at": datetime.now(UTC)})
        this = BenchmarkEvaluation.id == self.evaluation_id
        connection.execute(update(BenchmarkEvaluation).where(this).values(lease_until=None))

    def _change(self, connection: Connection, values: Mapping[str, object]) -> None:
        lease_until = datetime.now(UTC) + timedelta(seconds=self._lease_s)
        statement = update(BenchmarkEvaluation).where(self._is_this)
        if (
            connection.execute(statement.values({**values, "lease_until": lease_until})).rowcount
            != 1
        ):
            raise FencedOutError(
                f"an attempt must be an evaluation's present one to write, got {self._number} of "
                f"{self.evaluation_id}; nothing is left to do here"
            )


def read_answers(engine: Engine, evaluation_id: str) -> list[StoredAnswer]:
    """All answers so far, in item order; none of an unknown evaluation."""
    table = BenchmarkAnswer
    columns = (table.number, table.key, table.group, table.answer, table.score)
    statement = select(*columns).where(table.evaluation_id == evaluation_id).order_by(table.number)
    with engine.connect() as connection:
        return [StoredAnswer._make(row) for row in connection.execute(statement)]
