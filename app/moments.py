"""Moments as JSON has them: seconds since the epoch."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any


def in_epoch_seconds(values: Mapping[str, Any]) -> dict[str, Any]:
    """The mapping with every moment as seconds since the epoch."""
    return {
        name: value.timestamp() if isinstance(value, datetime) else value
        for name, value in values.items()
    }
