"""Every kind of score in databases of the first days too.

The kind `question_only` had been added to the first migration instead of having one of its own, so
that databases made before it refused the score that ends every run.

Revision ID: 0007
Revises: 0006
"""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_KINDS = "kind IN ('before', 'during', 'after', 'shuffled_images', 'question_only')"


def upgrade() -> None:
    with op.batch_alter_table("evaluations") as table:
        table.drop_constraint(op.f("ck_evaluations_kind"), type_="check")
        table.create_check_constraint(op.f("ck_evaluations_kind"), _KINDS)


def downgrade() -> None:
    """The same constraint is what the first migration makes."""
