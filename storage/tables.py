"""The tables: runs, what each run recorded, and who may see it.

What a run records is keyed by (run, event id). An event id is ``attempt * 2**32 + number of the
event within the attempt``: it grows along a run whatever happens, so it gives the order, and
writing an event twice is harmless. Times are UTC; recorded events keep their own ``time`` as
seconds since the epoch.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, Double, ForeignKey, Index, LargeBinary, String, Text, false
from sqlalchemy.orm import Mapped, declared_attr, mapped_column

from rankscope.models.evaluation import EvaluationStatus
from rankscope.models.events import EvaluationKind, EvaluationPart, RunStatus
from rankscope.storage.choices import ArtifactKind, Control, EvaluationOrigin, Origin, Role
from rankscope.storage.schema import QUEUE_ORDER, Base, Queued, UtcDateTime, one_of


class Run(Queued, Base):
    """One run: its config, where it stands, who works on it, and its sizes."""

    __tablename__ = "runs"
    __table_args__ = (
        one_of("origin", Origin, "origin"),
        one_of("status", RunStatus, "status"),
        Index("ix_runs_status_priority_position", *QUEUE_ORDER),
    )

    id: Mapped[str] = mapped_column(String(16), primary_key=True)
    name: Mapped[str] = mapped_column(Text)
    tags: Mapped[list[str]] = mapped_column(JSON)
    owner: Mapped[str] = mapped_column(Text, index=True)
    origin: Mapped[str] = mapped_column(String(16))
    config: Mapped[dict[str, Any]] = mapped_column(JSON)
    config_hash: Mapped[str] = mapped_column(String(64), index=True)
    config_version: Mapped[int]
    parent_run_id: Mapped[str | None] = mapped_column(
        ForeignKey("runs.id", ondelete="SET NULL"), index=True
    )
    parent_step: Mapped[int | None]
    idempotency_key: Mapped[str | None] = mapped_column(Text, unique=True)

    queue: Mapped[str] = mapped_column(Text, server_default="default")
    is_held: Mapped[bool] = mapped_column(server_default=false())
    num_requeues: Mapped[int] = mapped_column(server_default="0")  # those that count as failures

    step: Mapped[int]
    num_steps: Mapped[int]
    last_event_id: Mapped[int] = mapped_column(BigInteger)
    inventory: Mapped[bytes | None] = mapped_column(
        LargeBinary
    )  # packed JSON; order of rank deltas
    budget_params: Mapped[int | None] = mapped_column(BigInteger)
    max_live_params: Mapped[int | None] = mapped_column(BigInteger)
    final_params: Mapped[int | None] = mapped_column(BigInteger)
    other_trainable_params: Mapped[int | None] = mapped_column(BigInteger)
    data_record: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    log_path: Mapped[str | None] = mapped_column(Text)  # relative to the run's folder


class _OfRun:
    """A row that belongs to a run and goes with it."""

    @declared_attr
    def run_id(cls) -> Mapped[str]:  # noqa: N805
        # sort_order: keys begin with the run, whatever a subclass declares before
        return mapped_column(
            ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True, sort_order=-4
        )


class _Recorded(_OfRun):
    """An event of a run."""

    event_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, sort_order=-3)
    step: Mapped[int] = mapped_column(sort_order=-2)
    time: Mapped[float] = mapped_column(Double, sort_order=-1)


class RequestedControl(_OfRun, Base):
    """What a person asked of a live run and its trainer has not taken up yet."""

    __tablename__ = "controls"
    __table_args__ = (one_of("command", Control, "command"),)

    command: Mapped[str] = mapped_column(String(16), primary_key=True)
    requested_at: Mapped[datetime] = mapped_column(UtcDateTime)


class Metric(_OfRun, Base):
    """One optimizer step; NaN is kept as NULL, because SQLite cannot hold it."""

    __tablename__ = "metrics"
    __table_args__ = ({"sqlite_with_rowid": False},)

    step: Mapped[int] = mapped_column(primary_key=True)
    loss: Mapped[float | None] = mapped_column(Double)
    lr: Mapped[float | None] = mapped_column(Double)
    grad_norm: Mapped[float | None] = mapped_column(Double)
    step_s: Mapped[float | None] = mapped_column(Double)
    time: Mapped[float] = mapped_column(Double)


class RankChange(_Recorded, Base):
    """New ranks of the modules that changed, packed as ``packing.pack_ranks`` says."""

    __tablename__ = "rank_changes"
    __table_args__ = ({"sqlite_with_rowid": False},)  # half the bytes

    cause: Mapped[str] = mapped_column(String(16))
    moved_params: Mapped[int] = mapped_column(BigInteger)
    live_params: Mapped[int] = mapped_column(BigInteger)
    ranks: Mapped[bytes] = mapped_column(LargeBinary)


class RecordedDecision(_Recorded, Base):
    """A planner's view and decision, both packed JSON, so that the run can be replayed."""

    __tablename__ = "decisions"

    kind: Mapped[str] = mapped_column(String(16))
    view: Mapped[bytes] = mapped_column(LargeBinary)
    decision: Mapped[bytes] = mapped_column(LargeBinary)


class RecordedMeasurement(_Recorded, Base):
    """What a planner asked to be measured, the answers and their cost (packed event)."""

    __tablename__ = "measurements"

    measured: Mapped[bytes] = mapped_column(LargeBinary)
    cost_s: Mapped[float] = mapped_column(Double)
    cost_items: Mapped[int] = mapped_column(BigInteger)


class NumelSample(_Recorded, Base):
    """Adapter parameters counted on the real tensors after a swap."""

    __tablename__ = "numel_samples"
    __table_args__ = ({"sqlite_with_rowid": False},)

    sample: Mapped[int] = mapped_column(BigInteger)
    live_params: Mapped[int] = mapped_column(BigInteger)


class Evaluation(_Recorded, Base):
    """Scores with one bit per item (``numpy.packbits``), in the order of the part."""

    __tablename__ = "evaluations"
    __table_args__ = (
        one_of("part", EvaluationPart, "part"),
        one_of("kind", EvaluationKind, "kind"),
    )

    part: Mapped[str] = mapped_column(String(16))
    kind: Mapped[str] = mapped_column(String(16))
    accuracy: Mapped[float] = mapped_column(Double)
    accuracy_by_skill: Mapped[dict[str, float]] = mapped_column(JSON)
    correct: Mapped[bytes] = mapped_column(LargeBinary)
    num_items: Mapped[int]
    loss: Mapped[float | None] = mapped_column(Double)
    duration_s: Mapped[float] = mapped_column(Double)


class LogLineRow(_Recorded, Base):
    """A line for people."""

    __tablename__ = "log_lines"

    level: Mapped[str] = mapped_column(String(16))
    text: Mapped[str] = mapped_column(Text)


class Artifact(_OfRun, Base):
    """A file or folder of the run; ``path`` is relative to the run's folder."""

    __tablename__ = "artifacts"
    __table_args__ = (one_of("kind", ArtifactKind, "kind"),)

    path: Mapped[str] = mapped_column(Text, primary_key=True)
    kind: Mapped[str] = mapped_column(String(16))
    event_id: Mapped[int] = mapped_column(BigInteger)
    step: Mapped[int]
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class BenchmarkEvaluation(Queued, Base):
    """A benchmark asked of a model: its config, where it stands, who works on it, its score."""

    __tablename__ = "benchmark_evaluations"
    __table_args__ = (
        one_of("origin", EvaluationOrigin, "origin"),
        one_of("status", EvaluationStatus, "status"),
        Index("ix_benchmark_evaluations_status_priority_position", *QUEUE_ORDER),
    )

    id: Mapped[str] = mapped_column(String(16), primary_key=True)
    owner: Mapped[str] = mapped_column(Text)
    origin: Mapped[str] = mapped_column(String(16))
    run_id: Mapped[str | None] = mapped_column(
        ForeignKey("runs.id", ondelete="SET NULL"), index=True
    )
    title: Mapped[str] = mapped_column(Text)  # what is evaluated, for people
    benchmark: Mapped[str] = mapped_column(String(16))
    config: Mapped[dict[str, Any]] = mapped_column(JSON)

    queue: Mapped[str] = mapped_column(Text)
    is_held: Mapped[bool]
    num_requeues: Mapped[int]
    stop_asked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    num_items: Mapped[int]
    num_answered: Mapped[int]
    generation_s: Mapped[float] = mapped_column(Double)  # of all attempts
    items_digest: Mapped[str] = mapped_column(String(64))
    content_hash: Mapped[str | None] = mapped_column(String(64))  # pictures included
    versions: Mapped[dict[str, str] | None] = mapped_column(JSON(none_as_null=True))
    score: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))


class BenchmarkAnswer(Base):
    """What a model answered to one item; its score is known when all are answered."""

    __tablename__ = "benchmark_answers"
    __table_args__ = ({"sqlite_with_rowid": False},)

    evaluation_id: Mapped[str] = mapped_column(
        ForeignKey("benchmark_evaluations.id", ondelete="CASCADE"), primary_key=True
    )
    number: Mapped[int] = mapped_column(primary_key=True)  # of the item, from 0
    key: Mapped[str] = mapped_column(Text)
    group: Mapped[str] = mapped_column(Text)  # items of one count together
    answer: Mapped[str] = mapped_column(Text)
    score: Mapped[float | None] = mapped_column(Double)  # 0 to 1


class CachedInventory(Base):
    """Adaptable modules by hash of model, target pattern and parts; packed JSON."""

    __tablename__ = "inventories"

    key: Mapped[str] = mapped_column(String(64), primary_key=True)
    inventory: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class LearnedModel(Base):
    """An offline performance model, packed JSON, with what is asked of many at once."""

    __tablename__ = "learned_models"

    name: Mapped[str] = mapped_column(Text, primary_key=True)
    architecture: Mapped[str] = mapped_column(String(16))
    version: Mapped[int]
    is_useful: Mapped[bool]
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    model: Mapped[bytes] = mapped_column(LargeBinary)


class Worker(Base):
    """A process that takes runs from the queue; health is the age of ``seen_at``."""

    __tablename__ = "workers"

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    host: Mapped[str] = mapped_column(Text)
    pid: Mapped[int]
    queues: Mapped[list[str]] = mapped_column(JSON)
    num_slots: Mapped[int]
    started_at: Mapped[datetime] = mapped_column(UtcDateTime)
    seen_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
    device: Mapped[str | None] = mapped_column(Text)
    memory_bytes: Mapped[int | None] = mapped_column(BigInteger)
    memory_used_bytes: Mapped[int | None] = mapped_column(BigInteger)
    version: Mapped[str | None] = mapped_column(Text)


class Account(Base):
    """A person who signs in."""

    __tablename__ = "accounts"
    __table_args__ = (one_of("role", Role, "role"),)

    name: Mapped[str] = mapped_column(Text, primary_key=True)
    role: Mapped[str] = mapped_column(String(16))
    password_hash: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class ApiToken(Base):
    """A program's key; only its SHA-256 is kept."""

    __tablename__ = "api_tokens"
    __table_args__ = (one_of("role", Role, "role"),)

    id: Mapped[str] = mapped_column(String(16), primary_key=True)
    token_sha256: Mapped[str] = mapped_column(String(64), unique=True)
    name: Mapped[str] = mapped_column(Text)
    owner: Mapped[str] = mapped_column(Text, index=True)
    role: Mapped[str] = mapped_column(String(16))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    last_used_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    revoked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
