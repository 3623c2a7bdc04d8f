"""What this machine was measured to do, kept in a file so that plans need not measure."""

import contextlib
import json
import os
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from rankscope.models.cost.formats import NumberFormat
from rankscope.storage.settings import Settings


class MeasuredSpeed(BaseModel):
    """A large matrix product and the smallest operation, as measured."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    device: str
    format: NumberFormat
    num_threads: int
    flops_per_s: float
    call_s: float


def measured_speed(
    settings: Settings, device: str, number_format: NumberFormat, num_threads: int
) -> MeasuredSpeed | None:
    """Of a device; with other threads rather than not at all, the nearest number of them."""
    found = [
        speed
        for speed in _read(_path(settings))
        if (speed.device, speed.format) == (device, number_format)
    ]
    return min(found, key=lambda s: abs(s.num_threads - num_threads), default=None)


def remember_speed(settings: Settings, speed: MeasuredSpeed) -> None:
    """Keep a measurement in place of the last one of its kind; a full disk is no reason to stop."""
    path = _path(settings)
    key = (speed.device, speed.format, speed.num_threads)
    others = [s for s in _read(path) if (s.device, s.format, s.num_threads) != key]
    text = json.dumps([s.model_dump() for s in (*others, speed)], indent=1)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(text + "\n", encoding="utf-8")
        partial.replace(path)


def _path(settings: Settings) -> Path:
    return settings.roots.cache / "speeds.json"


def _read(path: Path) -> list[MeasuredSpeed]:
    """What is kept; what cannot be read is measured again."""
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        return [MeasuredSpeed.model_validate(one) for one in raw]
    except (OSError, ValueError, TypeError, ValidationError):
        return []
