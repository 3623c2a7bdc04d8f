"""Evaluations on benchmarks, and what was answered to each item.

Revision ID: 0006
Revises: 0005
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "benchmark_evaluations",
        sa.Column("id", sa.String(length=16), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("origin", sa.String(length=16), nullable=False),
        sa.Column("run_id", sa.String(length=16), nullable=True),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("benchmark", sa.String(length=16), nullable=False),
        sa.Column("config", sa.JSON(), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("status_reason", sa.Text(), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("position", sa.Double(), nullable=False),
        sa.Column("queue", sa.Text(), nullable=False),
        sa.Column("is_held", sa.Boolean(), nullable=False),
        sa.Column("num_requeues", sa.Integer(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("stop_asked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("worker_id", sa.Text(), nullable=True),
        sa.Column("process_host", sa.Text(), nullable=True),
        sa.Column("process_pid", sa.Integer(), nullable=True),
        sa.Column("process_started_at", sa.Double(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("num_items", sa.Integer(), nullable=False),
        sa.Column("num_answered", sa.Integer(), nullable=False),
        sa.Column("generation_s", sa.Double(), nullable=False),
        sa.Column("items_digest", sa.String(length=64), nullable=False),
        sa.Column("content_hash", sa.String(length=64), nullable=True),
        sa.Column("versions", sa.JSON(), nullable=True),
        sa.Column("score", sa.JSON(), nullable=True),
        sa.CheckConstraint(
            "origin IN ('queue', 'foreground')", name=op.f("ck_benchmark_evaluations_origin")
        ),
        sa.CheckConstraint(
            "status IN ('queued', 'starting', 'running', 'done', 'failed', 'stopped')",
            name=op.f("ck_benchmark_evaluations_status"),
        ),
        sa.ForeignKeyConstraint(
            ["run_id"],
            ["runs.id"],
            name=op.f("fk_benchmark_evaluations_run_id"),
            ondelete="SET NULL",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_benchmark_evaluations")),
    )
    op.create_index(
        op.f("ix_benchmark_evaluations_run_id"), "benchmark_evaluations", ["run_id"], unique=False
    )
    op.create_index(
        op.f("ix_benchmark_evaluations_created_at"),
        "benchmark_evaluations",
        ["created_at"],
        unique=False,
    )
    op.create_index(
        "ix_benchmark_evaluations_status_priority_position",
        "benchmark_evaluations",
        ["status", "priority", "position"],
        unique=False,
    )
    op.create_table(
        "benchmark_answers",
        sa.Column("evaluation_id", sa.String(length=16), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("group", sa.Text(), nullable=False),
        sa.Column("answer", sa.Text(), nullable=False),
        sa.Column("score", sa.Double(), nullable=True),
        sa.ForeignKeyConstraint(
            ["evaluation_id"],
            ["benchmark_evaluations.id"],
            name=op.f("fk_benchmark_answers_evaluation_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("evaluation_id", "number", name=op.f("pk_benchmark_answers")),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    op.drop_table("benchmark_answers")
    op.drop_table("benchmark_evaluations")
