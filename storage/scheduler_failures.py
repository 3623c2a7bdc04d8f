"""Runs whose scheduler broke down: trained to the end, but not as they were configured."""

from collections.abc import Sequence
from typing import Final

from sqlalchemy import Connection, select

from rankscope.models.events import Failed
from rankscope.storage.packing import unpack_json
from rankscope.storage.tables import RecordedDecision

FAILED: Final = "failed"
"""Kind of a recorded decision that says so."""


def scheduler_failures(connection: Connection, run_ids: Sequence[str]) -> dict[str, str]:
    """Run -> when and why its scheduler failed; runs whose scheduler did not are left out."""
    table = RecordedDecision
    statement = (
        select(table.run_id, table.step, table.decision)
        .where(table.run_id.in_(run_ids), table.kind == FAILED)
        .order_by(table.event_id)
    )
    return {
        row.run_id: f"at step {row.step:,}: "
        + Failed.model_validate_json(unpack_json(row.decision)).reason
        for row in connection.execute(statement)
    }
