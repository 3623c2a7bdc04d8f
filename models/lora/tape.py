"""What goes through some linears in one forward pass, and the loss's gradients there, by item.

Shapes: N items of a batch, T tokens, O outputs (d_out), I inputs (d_in), C calls.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

Batch = Mapping[str, Tensor]


@dataclass(frozen=True)
class Passed:
    """What one linear saw of one batch; its calls stand behind each other along T."""

    input_NTI: Tensor
    output_NTO: Tensor
    delta_NTO: Tensor
    """Gradient of the loss with respect to the output."""


def taped(
    linears: Mapping[str, nn.Linear], batch: Batch, loss_of: Callable[[], Tensor]
) -> Iterator[tuple[str, Passed]]:
    """One forward and backward pass; linears that had no part in the loss are left out.

    The parameters' own gradients are not touched.

    Args:
        linears: What to listen to, by any name.
        batch: Tensors that all have items along their first axis.
        loss_of: Runs the model on the batch and gives one number.

    Raises:
        ValueError: If a linear sees rows that cannot be dealt out to items.
    """
    num_items = num_items_of(batch)
    tape = _Tape()
    with ExitStack() as hooks, torch.enable_grad():
        for name, linear in linears.items():
            hooks.enter_context(tape.record(name, linear))
        loss = loss_of()
        outputs = [output for name in tape.outputs for output in tape.outputs[name]]
        deltas = iter(torch.autograd.grad(loss, outputs, allow_unused=True))
    for name, inputs in tape.inputs.items():
        calls = [(x, y, next(deltas)) for x, y in zip(inputs, tape.outputs[name], strict=True)]
        used = [(x, y, delta) for x, y, delta in calls if delta is not None]
        if used:
            inputs_C, outputs_C, deltas_C = zip(*used, strict=True)
            yield (
                name,
                Passed(
                    _joined(name, inputs_C, num_items),
                    _joined(name, outputs_C, num_items).detach(),
                    _joined(name, deltas_C, num_items),
                ),
            )


def num_items_of(batch: Batch) -> int:
    """Items along the first axis of a batch's tensors."""
    return next(iter(batch.values())).shape[0]


class _Tape:
    """Inputs and outputs of linears as one forward pass goes by."""

    def __init__(self) -> None:
        self.inputs: dict[str, list[Tensor]] = {}
        self.outputs: dict[str, list[Tensor]] = {}

    def record(self, name: str, linear: nn.Linear) -> RemovableHandle:
        """Record every call of a linear under a name until the handle is removed."""

        def keep(_: nn.Module, args: tuple[Tensor, ...], output: Tensor) -> Tensor:
            # Below the first trainable tensor outputs need no gradient by themselves.
            watched = output if output.requires_grad else output.detach().requires_grad_()
            self.inputs.setdefault(name, []).append(args[0].detach())
            self.outputs.setdefault(name, []).append(watched)
            return watched

        return linear.register_forward_hook(keep)


def _joined(name: str, calls: tuple[Tensor, ...], num_items: int) -> Tensor:
    return torch.cat([_by_item(name, rows, num_items) for rows in calls], dim=1)


def _by_item(name: str, rows: Tensor, num_items: int) -> Tensor:
    """Deal rows (items outermost) out to items: N x T x features."""
    if rows.shape[0] % num_items:
        raise ValueError(
            f"{name} must see its batch's {num_items} items along the first axis, got "
            f"{rows.shape[0]} rows; probe with batches of one item"
        )
    num_tokens = rows.shape[:-1].numel() // num_items
    return rows.reshape(num_items, num_tokens, rows.shape[-1])  # -1 would refuse rank 0
