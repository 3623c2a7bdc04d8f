"""The queue's columns: which queue, held, how often requeued, which process; a worker's device.

Revision ID: 0002
Revises: 0001
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for column in (
        sa.Column("queue", sa.Text(), server_default="default", nullable=False),
        sa.Column("is_held", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("num_requeues", sa.Integer(), server_default="0", nullable=False),
        sa.Column("process_host", sa.Text(), nullable=True),
        sa.Column("process_pid", sa.Integer(), nullable=True),
        sa.Column("process_started_at", sa.Double(), nullable=True),
    ):
        op.add_column("runs", column)
    for column in (
        sa.Column("device", sa.Text(), nullable=True),
        sa.Column("memory_bytes", sa.BigInteger(), nullable=True),
        sa.Column("memory_used_bytes", sa.BigInteger(), nullable=True),
        sa.Column("version", sa.Text(), nullable=True),
    ):
        op.add_column("workers", column)


def downgrade() -> None:
    for name in ("version", "memory_used_bytes", "memory_bytes", "device"):
        op.drop_column("workers", name)
    for name in (
        "process_started_at",
        "process_pid",
        "process_host",
        "num_requeues",
        "is_held",
        "queue",
    ):
        op.drop_column("runs", name)
