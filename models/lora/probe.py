"""What every base weight's gradient tells, without storing the gradients of single items.

Shapes: N items of a batch, T tokens, O outputs (d_out), I inputs (d_in).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Protocol, cast

import torch
from torch import Tensor, nn

from rankscope.models.lora.elastic import ElasticLora
from rankscope.models.lora.tape import Batch, num_items_of, taped


def gradient_energy(
    model: ElasticLora | nn.Module,
    names: Sequence[str],
    batches: Sequence[Batch],
    *,
    max_elements: int = 2**28,
) -> dict[str, float]:
    """Adafactor-normalised energy of the mean gradient of each base weight.

    With G_i the gradient of item i's loss with respect to a module's base weight (at the present
    adapters), Gbar its mean over items and V = row x column / total the rank-1 fit of the mean of
    G_i^2, the energy is the sum of Gbar^2 / V: the squared length of the first step Adafactor would
    take. It lies between about d_in d_out / num_items (items pull in unrelated directions) and d_in
    d_out (all items agree), whatever the scale of the loss. Entries whose row or column never got a
    gradient count 0.

    The mean of G_i^2 / V over items would be useless: it is d_in d_out for every module whose
    E[G^2] is of rank 1, and measures only the misfit of V elsewhere.

    Every module's G_i is made from its input and its output's gradient for one item at a time; the
    sums of one group of modules are kept at once and each group costs one pass over the batches.

    Args:
        model: Adapters, or a bare model; ``model(**batch).loss`` is the mean loss of a batch (where
            it is a mean over tokens, items weigh by their tokens). Its mode and its parameters' own
            gradients are left as they were.
        names: Full paths of the modules in the base model.
        batches: Batches whose tensors all have items along their first axis.
        max_elements: Gradient entries kept at once (float32: 2**28 is 1 GiB).

    Raises:
        ValueError: If there is no batch, or a module sees rows that cannot be dealt out to items.

    Source: ALGORITHMS 3.3's hooks; Adafactor (Shazeer & Stern 2018, arXiv 1804.04235, Algorithm 4);
        RANK_SPIKE_2 section 3.
    """
    return _summed(model, names, batches, max_elements, _GradientSums)


def weight_sensitivity(
    model: ElasticLora | nn.Module,
    names: Sequence[str],
    batches: Sequence[Batch],
    *,
    max_elements: int = 2**28,
) -> dict[str, float]:
    """Mean over a base weight's entries of |W * Gbar|, Gbar the mean gradient over items.

    The first-order change of the loss when an entry is zeroed, in loss units per entry. Arguments,
    passes and what is left as it was: as in :func:`gradient_energy`.

    Source: importance of GoRA (arXiv 2502.12171; "union_mean" in its code).
    """
    return _summed(model, names, batches, max_elements, _WeightedSum)


class _Sums(Protocol):
    """Running sums over items of what one module's gradient is."""

    def __init__(self, linear: nn.Linear) -> None: ...

    def add(self, delta_NTO: Tensor, input_NTI: Tensor) -> None:
        """Add a batch from the gradient of the module's output and its input."""

    def result(self, num_items: int) -> float:
        """What the sums come to over all items."""


def _summed(
    model: ElasticLora | nn.Module,
    names: Sequence[str],
    batches: Sequence[Batch],
    max_elements: int,
    sums_of: Callable[[nn.Linear], _Sums],
) -> dict[str, float]:
    if not batches:
        raise ValueError("gradients need at least one batch, got none; give probe items")
    module, linears = _base_linears(model, names)
    num_items = sum(num_items_of(batch) for batch in batches)
    was_training = module.training
    results: dict[str, float] = {}
    try:
        module.eval()
        for group in _groups(linears, max_elements):
            sums = {name: sums_of(linear) for name, linear in group.items()}
            for batch in batches:
                _add_batch(module, group, sums, batch)
            results |= {name: one.result(num_items) for name, one in sums.items()}
    finally:
        module.train(was_training)
    return {name: results[name] for name in names}


class _GradientSums:
    """Running sums over items of one module's gradient and of its squares by row and column."""

    def __init__(self, linear: nn.Linear) -> None:
        weight = linear.weight
        # float32 at least: squares of half-precision gradients underflow.
        dtype = torch.promote_types(weight.dtype, torch.float32)
        self._sum_OI = torch.zeros(weight.shape, device=weight.device, dtype=dtype)
        self._row_O = torch.zeros(weight.shape[0], device=weight.device, dtype=torch.float64)
        self._column_I = torch.zeros(weight.shape[1], device=weight.device, dtype=torch.float64)

    def add(self, delta_NTO: Tensor, input_NTI: Tensor) -> None:
        for delta_TO, input_TI in zip(delta_NTO, input_NTI, strict=True):
            gradient_OI = delta_TO.to(self._sum_OI.dtype).T @ input_TI.to(self._sum_OI.dtype)
            self._sum_OI += gradient_OI
            squared_OI = gradient_OI.square().double()
            self._row_O += squared_OI.sum(dim=1)
            self._column_I += squared_OI.sum(dim=0)

    def result(self, num_items: int) -> float:
        """Sum of Gbar^2 / V over the entries that got a gradient."""
        total = self._row_O.sum()
        if total == 0:
            return 0.0
        # Gbar^2 / V = (sum^2 / n^2) / (row column / (total n)); dividing each by the total first
        # keeps the fourth powers of small gradients in range.
        weight_O = torch.where(self._row_O > 0, total / self._row_O, 0.0)
        weight_I = torch.where(self._column_I > 0, total / self._column_I, 0.0)
        return float(weight_O @ (self._sum_OI.double().square() / total) @ weight_I) / num_items


class _WeightedSum:
    """Running sum over items of one module's gradient, and the weight itself."""

    def __init__(self, linear: nn.Linear) -> None:
        self._weight_OI = linear.weight.detach()
        dtype = torch.promote_types(self._weight_OI.dtype, torch.float32)
        self._sum_OI = torch.zeros_like(self._weight_OI, dtype=dtype)

    def add(self, delta_NTO: Tensor, input_NTI: Tensor) -> None:
        dtype = self._sum_OI.dtype
        self._sum_OI += delta_NTO.flatten(0, 1).to(dtype).T @ input_NTI.flatten(0, 1).to(dtype)

    def result(self, num_items: int) -> float:
        """Mean of |W * Gbar| over all entries."""
        return float((self._sum_OI * self._weight_OI).double().abs().mean()) / num_items


def _add_batch(
    module: nn.Module,
    group: Mapping[str, nn.Linear],
    sums: Mapping[str, _Sums],
    batch: Batch,
) -> None:
    """One forward and backward pass; the parameters' own gradients are not touched."""
    for name, seen in taped(group, batch, lambda: cast("Tensor", module(**batch).loss)):
        # A mean over the batch divides every item's gradient by its size.
        sums[name].add(seen.delta_NTO * num_items_of(batch), seen.input_NTI)


def _base_linears(
    model: ElasticLora | nn.Module, names: Sequence[str]
) -> tuple[nn.Module, dict[str, nn.Linear]]:
    """The module to run and the linears that hold the base weights."""
    if isinstance(model, ElasticLora):
        return model.peft_model, {name: model.base_linear(name) for name in names}
    return model, {name: cast("nn.Linear", model.get_submodule(name)) for name in names}


def _groups(linears: Mapping[str, nn.Linear], max_elements: int) -> Iterator[dict[str, nn.Linear]]:
    """Split in order into groups of at most ``max_elements`` weights, one module at least."""
    group: dict[str, nn.Linear] = {}
    size = 0
    for name, linear in linears.items():
        if group and size + linear.weight.numel() > max_elements:
            yield group
            group, size = {}, 0
        group[name] = linear
        size += linear.weight.numel()
    if group:
        yield group
