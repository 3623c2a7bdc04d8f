"""One run in several processes: process 0 decides, measures, scores and records, others follow.

Every process holds all weights and trains on its share of every batch; gradients are summed before
each step. DistributedDataParallel does not fit: it keeps the parameters it was made with, and a
rank event puts others in their place. ``torchrun`` starts the processes (``processes.command``).
"""

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

import torch
from pydantic import TypeAdapter
from torch import Tensor, distributed, nn
from typing_extensions import override

T = TypeVar("T")

_PATIENCE = timedelta(days=30)
"""Others wait while process 0 scores or measures; torchrun ends them all when one is lost."""
_LAUNCHER = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "GROUP_RANK")


class ProcessGroup:
    """The processes of a run; this very class is a run of one."""

    number = 0
    """Of this process."""
    size = 1

    def use_devices(self) -> None:
        """Let gradients pass between GPUs where every process has one.

        Raises:
            ValueError: Some have one, and some have none.
        """

    def from_first(self, make: Callable[[], T], kind: TypeAdapter[T]) -> T:
        """What process 0 makes; the others hear it, and call nothing."""
        del kind
        return make()

    def total(self, value: float) -> float:
        """Sum over the processes."""
        return value

    def sum_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Put the sum over the processes in the place of every gradient."""

    def copy_from_first(self, tensors: Iterable[Tensor]) -> None:
        """Overwrite them with process 0's, bit by bit; same shapes in the same order."""


ALONE = ProcessGroup()


class LostProcessError(RuntimeError):
    """One of several processes ended before the run did."""

    def __init__(self, how: str) -> None:
        super().__init__(
            "all processes of a run must stay to its end, one was lost; its last words are in the "
            f"run's log, and the run can be resumed ({how})"
        )


@contextmanager
def _together() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:  # gloo has no error of its own
        raise LostProcessError(" ".join(str(error).split())) from error


class JoinedGroup(ProcessGroup):
    """Several processes of one machine that torchrun has started.

    Raises:
        LostProcessError: By all that it does, when another process is gone.
    """

    def __init__(self, number: int, size: int) -> None:
        self.number = number
        self.size = size
        self._gpus: distributed.ProcessGroup | None = None

    @override
    def use_devices(self) -> None:
        num_gpus = int(self.total(torch.cuda.is_available()))
        if 0 < num_gpus < self.size:
            raise ValueError(
                f"training.num_processes must be at most the {num_gpus} GPUs that the worker sees, "
                f"got {self.size}; lower it, or start a worker that sees more: rankscope worker "
                f"--gpu {','.join(map(str, range(self.size)))}"
            )
        if num_gpus:
            self._gpus = distributed.new_group(backend="nccl")

    @override
    def from_first(self, make: Callable[[], T], kind: TypeAdapter[T]) -> T:
        # JSON rather than torch's object lists, which are pickles
        text = kind.dump_json(make()) if self.number == 0 else b""
        length = torch.tensor(len(text))
        with _together():
            distributed.broadcast(length, src=0)
        letters = torch.empty(int(length), dtype=torch.uint8)
        if self.number == 0:
            letters.copy_(torch.frombuffer(bytearray(text), dtype=torch.uint8))
        with _together():
            distributed.broadcast(letters, src=0)
        return kind.validate_json(letters.numpy().tobytes())

    @override
    def total(self, value: float) -> float:
        sum_ = torch.tensor(value, dtype=torch.float64)
        with _together():
            distributed.all_reduce(sum_)
        return float(sum_)

    @override
    def sum_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        trained = list(parameters)
        if not trained:
            return
        has_one = [parameter.grad is not None for parameter in trained]
        here = [torch.zeros_like(p) if p.grad is None else p.grad for p in trained]
        flags = torch.tensor(has_one, dtype=here[0].dtype, device=here[0].device)
        # one message a step, however many modules
        buffer = torch.cat([flags, *(gradient.reshape(-1) for gradient in here)])
        with _together():
            distributed.all_reduce(buffer, group=self._group_of(buffer))
        has_any = buffer[: len(trained)].tolist()
        pieces = torch.split(buffer[len(trained) :], [parameter.numel() for parameter in trained])
        for parameter, piece, is_used in zip(trained, pieces, has_any, strict=True):
            parameter.grad = piece.view_as(parameter) if is_used else None

    @override
    def copy_from_first(self, tensors: Iterable[Tensor]) -> None:
        for tensor in tensors:
            whole = tensor.contiguous()
            with _together():
                distributed.broadcast(whole, src=0, group=self._group_of(tensor))
            if whole is not tensor:
                tensor.copy_(whole)

    def _group_of(self, tensor: Tensor) -> distributed.ProcessGroup | None:
        return self._gpus if tensor.is_cuda else None


def trained_and_moments(
    model: nn.Module, optimizer: torch.optim.Optimizer | None
) -> Iterator[Tensor]:
    """All that training changes, in the model's order: the same in every process."""
    for parameter in model.parameters():
        if parameter.requires_grad:
            yield parameter.data
            state = optimizer.state.get(parameter, {}) if optimizer else {}
            yield from (value for _, value in sorted(state.items()) if isinstance(value, Tensor))


def join_group(meeting_place: Path) -> ProcessGroup:
    """The group that torchrun has started this process in; a run of one otherwise.

    Its marks are taken out of the environment: accelerate would wrap the model for them.

    Args:
        meeting_place: A file that is not there yet, the same for all; they tell each other in it
            where they listen, which is on this machine alone.
    """
    number, size = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    for mark in _LAUNCHER:
        os.environ.pop(mark, None)
    if size == 1:
        return ALONE
    loopback = "lo0" if sys.platform == "darwin" else "lo"
    os.environ.update(dict.fromkeys(("GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME"), loopback))
    store = distributed.FileStore(str(meeting_place), size)  # type: ignore[attr-defined]
    distributed.init_process_group(
        "gloo", store=store, rank=number, world_size=size, timeout=_PATIENCE
    )
    return JoinedGroup(number, size)
