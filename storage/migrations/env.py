"""Alembic's entry: storage/migrating.py hands over its open connection and transaction."""

from alembic import context

from rankscope.storage.tables import Run

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Run.metadata,
    render_as_batch=True,  # SQLite cannot alter a column in place
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
