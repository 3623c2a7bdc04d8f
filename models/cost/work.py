"""Floating-point operations and kernel calls of a training step and of what happens between steps.

A matrix product of (T x I) with (I x O) takes 2 T I O operations (Kaplan et al. 2020, arXiv
2001.08361, section 2.1). Backward makes the gradient of the input (as much again) and, for weights
that are trained, the gradient of the weight (as much again); frozen weights save the latter.
"""

from dataclasses import dataclass

from rankscope.models.cost.activations import Batch, Trained
from rankscope.models.cost.places import layers_of, query_width_of, width_of
from rankscope.models.inventory import Linears, Part

_CALLS_PER_LAYER = 46
"""Operators of a Llama layer's forward pass, views left out, counted in torch 2.13 with
transformers 5.23: 38, with autocast 54."""
_CALLS_PER_ADAPTER = 6
"""Of a peft layer beside its linear: 4, with autocast 7."""
_BACKWARD_CALLS = 1.5
"""Per operator of forward; counted: 1.3 to 1.5."""


@dataclass(frozen=True)
class Work:
    """What a machine has to do.

    Args:
        flops: Floating-point operations of matrix products.
        calls: Kernels started, each of which takes a little however small it is.
    """

    flops: float
    calls: float

    def times(self, number: float) -> "Work":
        """So many times this."""
        return Work(self.flops * number, self.calls * number)

    def plus(self, other: "Work") -> "Work":
        """Both."""
        return Work(self.flops + other.flops, self.calls + other.calls)


NOTHING = Work(0.0, 0.0)


def forward(linears: Linears, trained: Trained, batch: Batch) -> Work:
    """One forward pass of the whole model, its head included."""
    sizes = linears.sizes
    assert sizes is not None
    patches = batch.pictures * (sizes.picture.patches if sizes.picture else 0)
    per_picture = sizes.picture.patches if sizes.picture else 0
    seen: dict[Part, tuple[float, float]] = {
        "vision": (patches, per_picture),
        "projector": (patches, 0),
        "language": (batch.rows * batch.tokens, batch.tokens),
    }
    work = NOTHING
    for part, (positions, length) in seen.items():
        if positions:
            work = work.plus(_part(linears, trained, part, positions, length))
    width = next((width_of(layer) for layer in layers_of(linears.modules, "language")), 0)
    head = 2 * batch.rows * batch.tokens * width * sizes.vocabulary
    return work.plus(Work(head, _CALLS_PER_LAYER))


def step(
    linears: Linears, trained: Trained, batch: Batch, *, num_batches: int, checkpointing: bool
) -> Work:
    """One optimizer step: forward, backward, with checkpointing forward again, of every batch."""
    ahead = forward(linears, trained, batch)
    sizes = linears.sizes
    assert sizes is not None
    frozen = NOTHING
    if sizes.picture and not any(trained.reaches(linears.modules, p) for p in ("vision",)):
        positions = batch.pictures * sizes.picture.patches
        frozen = _part(linears, trained, "vision", positions, sizes.picture.patches)
    through = Work(ahead.flops - frozen.flops, ahead.calls - frozen.calls)
    back = Work(through.flops, _BACKWARD_CALLS * through.calls)
    back = back.plus(Work(_weight_gradients(linears, trained, batch), 0))
    if checkpointing:
        back = back.plus(through)
    return ahead.plus(back).times(num_batches)


def answers(linears: Linears, trained: Trained, batch: Batch, *, answer_tokens: float) -> Work:
    """Answers to a batch of questions: the prompt once, then one token of every row at a time."""
    one = Batch(rows=batch.rows, tokens=1, pictures=0)
    return forward(linears, trained, batch).plus(
        forward(linears, trained, one).times(answer_tokens)
    )


def _part(linears: Linears, trained: Trained, part: Part, positions: float, length: float) -> Work:
    flops, calls = 0.0, 0.0
    for layer in layers_of(linears.modules, part):
        weights = sum(m.d_in * m.d_out for m in layer)
        adapters = sum(m.cost * trained.ranks.get(m.name, 0) for m in layer)
        # scores and the sum they weigh: 2 products of (length x width) per position
        attention = 2 * length * query_width_of(layer)
        flops += 2 * positions * (weights + adapters + attention)
        num_adapters = sum(trained.ranks.get(m.name, 0) > 0 for m in layer)
        calls += _CALLS_PER_LAYER + _CALLS_PER_ADAPTER * num_adapters
    return Work(flops, calls)


def _weight_gradients(linears: Linears, trained: Trained, batch: Batch) -> float:
    sizes = linears.sizes
    patches = sizes.picture.patches if sizes and sizes.picture else 0
    flops = 0.0
    for module in linears.modules:
        is_language = module.part == "language"
        positions = batch.rows * batch.tokens if is_language else batch.pictures * patches
        weights = module.cost * trained.ranks.get(module.name, 0)
        if trained.has_weight_gradient(module):
            weights += module.d_in * module.d_out
        flops += 2 * positions * weights
    return flops
