"""How fast this machine multiplies, measured once and kept for plans."""

import time
from collections.abc import Callable

import torch

from rankscope.models.config import RunConfig
from rankscope.models.cost.formats import NumberFormat, base_precision, formats_of, number_format_of
from rankscope.storage.settings import Settings
from rankscope.storage.speeds import MeasuredSpeed, measured_speed, remember_speed
from rankscope.tasks import machine

_SIDE = {"cpu": 512, "cuda": 4096}
"""Of the square matrices: large enough for the device, a few milliseconds of work."""
_REPEATS = 20
_CALLS = 50


def measure_once(settings: Settings, config: RunConfig) -> None:
    """Measure in the format a run computes in, unless that was done here before."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    name = machine.training_device("auto" if device.type == "cuda" else "cpu").name
    formats = formats_of(base_precision(config.model), config.training.precision)
    number_format = number_format_of(formats)
    num_threads = torch.get_num_threads()
    known = measured_speed(settings, name, number_format, num_threads)
    if known is None or known.num_threads != num_threads:
        remember_speed(settings, measure(device, number_format, name=name))


def measure(device: torch.device, number_format: NumberFormat, *, name: str) -> MeasuredSpeed:
    """The best of a few products of square matrices, and a small sum's time.

    No random numbers are drawn: a run must be the same whether or not it measured.
    """
    dtype = {"fp32": torch.float32, "bf16": torch.bfloat16}[number_format]
    side = _SIDE[device.type]
    large = torch.full((side, side), 0.5, device=device, dtype=dtype)
    small = torch.full((8,), 0.5, device=device)
    with torch.no_grad():
        product_s = min(_seconds(lambda: large @ large, device) for _ in range(_REPEATS))
        calls_s = min(
            _seconds(lambda: [small + small for _ in range(_CALLS)], device)
            for _ in range(_REPEATS)
        )
    return MeasuredSpeed(
        device=name,
        format=number_format,
        num_threads=torch.get_num_threads(),
        flops_per_s=2 * side**3 / product_s,
        call_s=calls_s / _CALLS,
    )


def _seconds(work: Callable[[], object], device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    started = time.perf_counter()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - started
