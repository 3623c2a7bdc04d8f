"""How long work takes on a machine: always a range, with what it rests on."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from rankscope.models.cost.work import Work

_BEST_SHARE, _WORST_SHARE = 0.9, 0.25
"""Of a large product's speed that training reaches: the rest of a step moves memory. PaLM reports
46 %, others 20 to 35 % of peak (Chowdhery et al. 2022, arXiv 2204.02311, table 3); ours against a
measured product, which is below peak, is in docs/cost.md."""
_BEST_CALLS, _WORST_CALLS = 8.0, 40.0
"""Times a bare small sum that an operator takes within a model, with modules, autograd and adapters
around it and memory to be moved: seen from 12 to 40 (docs/cost.md)."""
_ASSUMED_CORE, _ASSUMED_CALL_S = 40e9, 5e-6
"""A core of a server with AVX2 at float32, and PyTorch's way to a kernel: orders of magnitude."""
_ASSUMED_GPU, _ASSUMED_GPU_CALL_S = 100e12, 1e-5
"""Between cards of the years 2020 and 2024 at bfloat16, and a kernel's start."""
_ALONE = 0.25


class Range(BaseModel):
    """From least to most."""

    model_config = ConfigDict(frozen=True)

    low: float = Field(ge=0)
    high: float = Field(ge=0)

    def plus(self, other: "Range") -> "Range":
        """Both, one after the other."""
        return Range(low=self.low + other.low, high=self.high + other.high)

    def times(self, number: float) -> "Range":
        """So many times."""
        return Range(low=self.low * number, high=self.high * number)


class Speed(BaseModel):
    """What a machine does, in the format that a run computes in."""

    model_config = ConfigDict(frozen=True)

    flops_per_s: float = Field(gt=0, description="Of a large matrix product.")
    call_s: float = Field(gt=0, description="Time of the smallest operation.")
    basis: str = Field(description="Where the figures come from, for people.")


def assumed_speed(kind: Literal["cpu", "cuda"], num_threads: int) -> Speed:
    """Where nothing was measured: an order of magnitude, said to be assumed."""
    if kind == "cuda":
        return Speed(
            flops_per_s=_ASSUMED_GPU,
            call_s=_ASSUMED_GPU_CALL_S,
            basis=f"{_ASSUMED_GPU / 1e12:g} TFLOP/s assumed until a run here has measured it",
        )
    return Speed(
        flops_per_s=_ASSUMED_CORE * num_threads,
        call_s=_ASSUMED_CALL_S,
        basis=f"{_ASSUMED_CORE / 1e9:g} GFLOP/s a core assumed, {num_threads} at work, until a run "
        "here has measured it",
    )


def around(least: float, middle: float, most: float, num_runs: int) -> Range:
    """Of recorded runs: what they took, or a quarter around a single one, which has no spread."""
    if num_runs > 1:
        return Range(low=least, high=most)
    return Range(low=(1 - _ALONE) * middle, high=(1 + _ALONE) * middle)


def seconds(least: Work, most: Work, speed: Speed) -> Range:
    """Time of work that lies between two amounts."""
    return Range(
        low=least.flops / (_BEST_SHARE * speed.flops_per_s)
        + least.calls * speed.call_s * _BEST_CALLS,
        high=most.flops / (_WORST_SHARE * speed.flops_per_s)
        + most.calls * speed.call_s * _WORST_CALLS,
    )
