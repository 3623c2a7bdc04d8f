"""Bytes per number: base weights, activations and adapters, by the precisions of a run."""

from dataclasses import dataclass
from typing import Literal

from rankscope.models.vlms import AnyVlm

BasePrecision = Literal["fp32", "bf16", "fp16", "nf4", "int8"]
TrainingPrecision = Literal["fp32", "bf16", "fp16"]
NumberFormat = Literal["fp32", "bf16"]
"""Of matrix products."""

FLOAT32_BYTES = 4
_HALF_BYTES = 2
_FLOATS = ("fp32", "bf16", "fp16")
_NF4_BYTES = (4 + 0.127) / 8
"""4 bits and 0.127 of doubly quantised constants (QLoRA: Dettmers et al. 2023, arXiv 2305.14314,
section 3)."""


@dataclass(frozen=True)
class Formats:
    """How many bytes a number takes, and which copies PyTorch and peft make.

    Args:
        linear_bytes: Of a weight of the base model's linears.
        weight_bytes: Of its other weights, such as embeddings.
        op_bytes: Of an activation within a layer.
        stream_bytes: Of an activation between layers.
        adapter_input_bytes: Of an activation as adapters keep it.
        shares_inputs: Whether adapters that read the same activation keep it once. Not where it is
            cast first: every cast is a tensor of its own.
        casts_weights: Whether autocast makes copies of the weights that backward keeps.
    """

    linear_bytes: float
    weight_bytes: int
    op_bytes: int
    stream_bytes: int
    adapter_input_bytes: int
    shares_inputs: bool
    casts_weights: bool


def base_precision(model: AnyVlm) -> BasePrecision:
    """How the frozen base model is loaded; float32 where that is no setting."""
    chosen: BasePrecision = getattr(model, "precision", "fp32")
    return chosen


def checkpoints_gradients(model: AnyVlm) -> bool:
    """Whether layers are made again in backward; not where that is no setting."""
    return bool(getattr(model, "gradient_checkpointing", False))


def formats_of(base: BasePrecision, training: TrainingPrecision) -> Formats:
    """Of a base model under a training precision; adapters themselves are float32.

    Seen in torch 2.13 with peft 0.21 and checked by the tests: under autocast (``bf16``, ``fp16``)
    an adapter's input is cast to float32 by peft and back by autocast, once per adapter; without
    it (``fp32``) an adapter on a half-precision base keeps a float32 copy.
    """
    weight = FLOAT32_BYTES if base == "fp32" else _HALF_BYTES
    linear = {"nf4": _NF4_BYTES, "int8": 1.0}.get(base, float(weight))
    is_autocast = training != "fp32"
    return Formats(
        linear_bytes=linear,
        weight_bytes=weight,
        op_bytes=_HALF_BYTES if is_autocast else weight,
        stream_bytes=weight,
        adapter_input_bytes=_HALF_BYTES if is_autocast else FLOAT32_BYTES,
        shares_inputs=base == "fp32" and not is_autocast,
        casts_weights=is_autocast and base in _FLOATS and base != training,
    )


def number_format_of(formats: Formats) -> NumberFormat:
    """What a run multiplies in; float16 and bfloat16 are equally fast where either is."""
    return "fp32" if formats.op_bytes == FLOAT32_BYTES else "bf16"
