"""What each module's adapter does to the loss of held-out items, by its first order.

Shapes: N items of all batches, M modules, T tokens, O outputs (d_out).
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from rankscope.models.lora.elastic import ElasticLora
from rankscope.models.lora.tape import taped

ItemLosses = Callable[[nn.Module, dict[str, Tensor]], Tensor]
"""Runs a model on a batch and gives every item's own loss (nats), shape (N,)."""


def adapter_credit(
    elastic: ElasticLora, batches: Sequence[dict[str, Tensor]], item_losses: ItemLosses
) -> tuple[Tensor, Tensor]:
    """By how much every item's loss would rise, to first order, without each module's adapter.

    With z = B A x the output of an adapter and delta = dL_i/dz (which holds the scale s), the
    credit is -sum(delta . z) over the item's tokens and outputs. z is linear in B, so this is
    -(dL_i/dB . B): minus the derivative of the loss with respect to a factor on the adapter, at 1.
    No copy of the start is needed, for an adapter starts at B = 0. It does not depend on the gauge
    of B A and is exactly 0 at rank 0 and at B = 0.

    Every item's value is exact and costs no more than the batch's one forward and backward pass.

    Args:
        elastic: The adapters. Mode and gradients of the model are left as they were.
        batches: Batches whose tensors all have items along their first axis.
        item_losses: An item's loss must not depend on the other items of its batch.

    Returns:
        credit_NM in inventory order and losses_N, float64 on the CPU.

    Raises:
        ValueError: If there is no batch, or a module sees rows that cannot be dealt out to items.
    """
    if not batches:
        raise ValueError("credit needs at least one batch, got none; give probe items")
    model = elastic.peft_model
    columns = {name: column for column, name in enumerate(elastic.ranks())}
    linears = {name: elastic.layers.linear(name, "B") for name in columns}
    was_training = model.training
    parts, losses = [], []
    try:
        model.eval()
        for batch in batches:
            losses_N, credit_NM = _of_batch(model, linears, columns, batch, item_losses)
            losses.append(losses_N)
            parts.append(credit_NM)
    finally:
        model.train(was_training)
    return torch.cat(parts), torch.cat(losses)


def _of_batch(
    model: nn.Module,
    linears: dict[str, nn.Linear],
    columns: dict[str, int],
    batch: dict[str, Tensor],
    item_losses: ItemLosses,
) -> tuple[Tensor, Tensor]:
    losses: list[Tensor] = []

    def total() -> Tensor:
        losses_N = item_losses(model, batch)
        losses.append(losses_N.detach().double().cpu())
        return losses_N.sum()

    passed = dict(taped(linears, batch, total))
    credit_NM = torch.zeros(len(losses[0]), len(columns), dtype=torch.float64)
    for name, seen in passed.items():
        # float32 at least: long sums of half-precision products lose what the items differ in.
        dtype = torch.promote_types(seen.output_NTO.dtype, torch.float32)
        products_NTO = seen.delta_NTO.to(dtype) * seen.output_NTO.to(dtype)
        credit_NM[:, columns[name]] = -products_NTO.sum(dim=(1, 2)).double().cpu()
    return losses[0], credit_NM
