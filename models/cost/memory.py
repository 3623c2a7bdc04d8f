"""Bytes that training holds at its fullest moment, sum by sum."""

from collections.abc import Iterable

from pydantic import BaseModel, ConfigDict, Field

from rankscope.models.cost.activations import (
    Activations,
    Trained,
    cache_bytes,
    forward_bytes,
)
from rankscope.models.cost.formats import FLOAT32_BYTES, Formats
from rankscope.models.cost.places import layers_of, width_of
from rankscope.models.inventory import AdaptableModule, Linears

ADAM_MOMENTS = 2
"""Tensors that AdamW keeps beside every trained one, in its format."""
_FREED_SHARE = 1.0
"""Of what comes and goes in a step, kept by glibc once freed: seen from 0.5 to 1.6, and nothing
where it is told to give back at once (docs/cost.md)."""
LIBRARIES_BYTES = 420_000_000
"""Of a process that has imported torch, transformers and peft: resident memory, measured for torch
2.13 on Linux (x86-64, CPU build); on a GPU its context takes a like share of the device."""


class MemoryEstimate(BaseModel):
    """Bytes; ``total_bytes`` is the most at once."""

    model_config = ConfigDict(frozen=True)

    base_weights_bytes: int
    adapters_bytes: int
    gradients_bytes: int
    optimizer_bytes: int
    weight_copies_bytes: int = Field(0, description="Copies that autocast makes of the weights.")
    activations_bytes: int = Field(0, description="Kept for the backward pass, the most at once.")
    scoring_bytes: int = Field(
        0, description="Of the largest forward pass without gradients: scores and measurements."
    )
    allocator_bytes: int = Field(
        0, description="Freed pieces that the C library keeps; none on accelerators."
    )
    libraries_bytes: int = LIBRARIES_BYTES
    total_bytes: int


def num_weights(modules: Iterable[AdaptableModule]) -> int:
    """Weights of linears."""
    return sum(m.d_in * m.d_out for m in modules)


def memory(
    linears: Linears,
    trained: Trained,
    formats: Formats,
    *,
    adapter_params: int,
    kept: Activations | None,
    scoring_bytes: int,
    checkpointing: bool,
    on_cpu: bool,
) -> MemoryEstimate:
    """The sums.

    Weights trained in full, adapters, their gradients and moments are float32.

    Args:
        linears: All modules of the model, and its parameters by part.
        trained: What gets gradients.
        formats: Bytes per number.
        adapter_params: At the present ranks.
        kept: Activations of a training step, None where the model's sizes are not known.
        scoring_bytes: Of the largest forward pass without gradients.
        checkpointing: Whether layers are made again in backward.
        on_cpu: Whether memory comes from the C library.
    """
    in_linears = num_weights(linears.modules)
    base = in_linears * formats.linear_bytes
    base += (linears.total_params - in_linears) * formats.weight_bytes
    num_own = full_params(linears, trained)
    base += num_own * (FLOAT32_BYTES - formats.weight_bytes)
    own = FLOAT32_BYTES * num_own
    adapters = FLOAT32_BYTES * adapter_params
    gradients = adapters + own
    moments = ADAM_MOMENTS * gradients
    copies = _copies(linears, formats, adapter_params, checkpointing=checkpointing)
    moving = max(kept.peak if kept else 0, scoring_bytes)
    freed = round(_FREED_SHARE * moving) if on_cpu else 0
    total = base + adapters + gradients + moments + copies + moving + freed + LIBRARIES_BYTES
    return MemoryEstimate(
        base_weights_bytes=round(base),
        adapters_bytes=adapters,
        gradients_bytes=gradients,
        optimizer_bytes=moments,
        weight_copies_bytes=copies,
        activations_bytes=kept.peak if kept else 0,
        scoring_bytes=scoring_bytes,
        allocator_bytes=freed,
        total_bytes=round(total),
    )


def full_params(linears: Linears, trained: Trained) -> int:
    """Weights of the model that are trained themselves."""
    parts = sum(linears.params_by_part[part] for part in trained.full_parts)
    return parts + num_weights(m for m in linears.modules if m.name in trained.full_modules)


def scoring_bytes(
    linears: Linears, formats: Formats, *, rows: int, tokens: int, answer_tokens: int
) -> int:
    """Of scoring so many rows at once: their loss, or keys and values while they are answered."""
    assert linears.sizes is not None
    loss = forward_bytes(linears.sizes, rows=rows, tokens=tokens)
    cache = cache_bytes(linears.modules, formats, rows=rows, tokens=tokens + answer_tokens)
    return max(loss, cache)


def _copies(linears: Linears, formats: Formats, adapter_params: int, *, checkpointing: bool) -> int:
    """Copies that autocast makes and backward keeps: of all layers, or of the one at work."""
    if formats.op_bytes == FLOAT32_BYTES:
        return 0
    own = adapter_params if formats.adapter_input_bytes == formats.op_bytes else 0
    if not formats.casts_weights:
        return formats.op_bytes * own
    layers = [num_weights(layer) for layer in layers_of(linears.modules, "language")]
    width = next((width_of(layer) for layer in layers_of(linears.modules, "language")), 0)
    head = linears.sizes.vocabulary * width if linears.sizes else 0
    held = max(layers, default=0) if checkpointing else sum(layers)
    return formats.op_bytes * (held + head + own)
