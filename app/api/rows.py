"""Runs as the API and the pages show them: times in seconds since the epoch, scores bounded."""

from collections.abc import Mapping
from typing import Any

from rankscope.app.moments import in_epoch_seconds
from rankscope.storage.intervals import wilson


def run_row(found: Mapping[str, Any]) -> dict[str, Any]:
    """A run of ``finding.find_runs`` as JSON, with the 95 % interval of its accuracy over items."""
    row = in_epoch_seconds(found)
    num_items = row["num_items"]
    interval = wilson(row["accuracy"], num_items) if num_items else None
    row["accuracy_low"] = interval.low if interval else None
    row["accuracy_high"] = interval.high if interval else None
    return row
