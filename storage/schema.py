"""What tables are made of: their base, moments in UTC, choices, and a place in the queue."""

from datetime import UTC, datetime
from typing import get_args

from sqlalchemy import (
    CheckConstraint,
    DateTime,
    Dialect,
    Double,
    MetaData,
    String,
    Text,
    TypeDecorator,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

QUEUE_ORDER = ("status", "priority", "position")
"""Columns that the index of what waits is over."""


class UtcDateTime(TypeDecorator[datetime]):
    """A moment in UTC, aware on both sides; SQLite knows no zones and keeps it as naive text."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """To the database, in UTC."""
        if value is None:
            return None
        utc = value.astimezone(UTC)
        return utc.replace(tzinfo=None) if dialect.name == "sqlite" else utc

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """From the database, in UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if dialect.name == "sqlite" else value.astimezone(UTC)


def one_of(column: str, choices: object, name: str) -> CheckConstraint:
    """A column holds one of the choices of a ``Literal``."""
    listed = ", ".join(f"'{choice}'" for choice in get_args(choices))
    return CheckConstraint(f"{column} IN ({listed})", name=name)


class Base(DeclarativeBase):
    """Names of constraints are fixed, so that migrations can refer to them."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


class Queued:
    """Something that workers carry: where it stands, its place in the queue, who works on it."""

    status: Mapped[str] = mapped_column(String(16))
    status_reason: Mapped[str] = mapped_column(Text)
    priority: Mapped[int]  # 0 is the most urgent
    position: Mapped[float] = mapped_column(Double)  # order within a priority; seconds at creation
    attempt: Mapped[int]
    lease_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    worker_id: Mapped[str | None] = mapped_column(Text)
    process_host: Mapped[str | None] = mapped_column(Text)
    process_pid: Mapped[int | None]
    process_started_at: Mapped[float | None] = mapped_column(Double)  # as psutil's create_time
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
    started_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
