"""Move ranks while training: shrink by exact truncation, grow without changing the function.

Shapes: O outputs (d_out), I inputs (d_in), R rank before, K rank after, N new components.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from rankscope.models.inventory import Inventory
from rankscope.models.lora.attach import LoraLayers
from rankscope.models.lora.gauge import canonical, distance
from rankscope.models.lora.moments import Moments, grown, scaled, transported
from rankscope.models.lora.surgery import OptimizerSurgery

DrawRows = Callable[[str, int], Tensor]
"""New rows of A (N x I) for a module's name and N."""


@dataclass(frozen=True)
class ModuleResize:
    """What one module's move did; both errors are Frobenius norms of the change of s B A."""

    name: str
    old_rank: int
    new_rank: int
    truncation_error: float
    """Measured on the stored tensors; 0 for a growth."""
    predicted_error: float
    """s times the root of the sum of the dropped singular values' squares; 0 for a growth."""


@dataclass(frozen=True)
class ResizeReport:
    """All that one resize did, modules in the order in which they moved."""

    modules: tuple[ModuleResize, ...]
    samples: tuple[int, ...]
    """Adapter parameters counted in the real tensors before the first and after every swap."""

    @property
    def max_live_params(self) -> int:
        """The largest number of adapter parameters that was alive at any moment."""
        return max(self.samples)


def resize(
    layers: LoraLayers,
    ranks: Mapping[str, int],
    surgery: OptimizerSurgery,
    *,
    budget: int,
    draw_rows: DrawRows,
) -> ResizeReport:
    """Bring modules to new ranks, every shrink before the first growth.

    A module that keeps its rank is not touched and a growing one is never re-gauged. Everything
    that can be refused is refused before the first tensor moves.

    Args:
        layers: The adapters.
        ranks: New ranks; modules left out keep theirs.
        surgery: On the Adam optimizer that trains them (or a wrapper holding it as
            ``.optimizer``), whose state is carried along; on None where there is none yet.
        budget: Adapter parameters that may be alive at most.
        draw_rows: Where new rows of A come from.

    Raises:
        ValueError: If a name is unknown, a rank is out of range, the new ranks exceed ``budget`` or
            the optimizer's state cannot be carried over.
        RuntimeError: If the real tensors are found to differ from the books.
    """
    layers.check()
    check_ranks(layers.inventory, ranks)
    before = layers.ranks()
    after = {**before, **ranks}
    params = layers.inventory.params(after)
    if params > budget:
        raise ValueError(f"new ranks must fit budget={budget}, got {params} parameters; lower them")
    shrinks = [m.name for m in layers.inventory.modules if after[m.name] < before[m.name]]
    growths = [m.name for m in layers.inventory.modules if after[m.name] > before[m.name]]
    surgery.check(p for name in (*shrinks, *growths) for p in layers.parameters_of(name))

    progress = _Resize(layers, surgery, draw_rows)
    done = [progress.shrink(name, after[name]) for name in shrinks]
    done += [progress.grow(name, after[name]) for name in growths]
    layers.sync_config()
    layers.check()
    return ResizeReport(tuple(done), tuple(progress.samples))


def check_ranks(inventory: Inventory, ranks: Mapping[str, int]) -> None:
    """Refuse unknown modules and ranks that a module cannot have.

    Raises:
        ValueError: If a name is not in the inventory or a rank is outside 0..min(d_in, d_out).
    """
    limits = {module.name: min(module.d_in, module.d_out) for module in inventory.modules}
    for name, rank in ranks.items():
        if name not in limits:
            raise ValueError(f"ranks must name adapted modules, got {name!r}; leave it out")
        if not 0 <= rank <= limits[name]:
            raise ValueError(
                f"rank of {name} must lie in 0..{limits[name]} (the smaller side of its weight), "
                f"got {rank}; {'lower' if rank > 0 else 'raise'} it"
            )


class _Resize:
    """One resize in progress: the tensors, the optimizer and the counts taken so far."""

    def __init__(
        self, layers: LoraLayers, optimizer: OptimizerSurgery, draw_rows: DrawRows
    ) -> None:
        self.layers = layers
        self.optimizer = optimizer
        self.draw_rows = draw_rows
        self.samples = [layers.live_params()]

    def shrink(self, name: str, rank: int) -> ModuleResize:
        """Keep the ``rank`` largest singular components of a module (ALGORITHMS 3.1, 3.2, 3.4)."""
        a_RI, b_OR = self.layers.parameters_of(name)
        moments_a, moments_b = self.optimizer.moments(a_RI), self.optimizer.moments(b_OR)
        kept = canonical(b_OR, a_RI).first(rank)
        if moments_a is not None:
            moments_a = transported(moments_a.transposed(), kept.change_a, kept.live)
        if moments_b is not None:
            moments_b = transported(moments_b, kept.change_b, kept.live)
        scale, ratio = self._scale_and_its_change(name, rank)
        moments_b = moments_b and scaled(moments_b, ratio)
        self._swap(name, kept.a, kept.b / ratio, moments_a and moments_a.transposed(), moments_b)

        stored_a_KI, stored_b_OK = self.layers.parameters_of(name)
        return ModuleResize(
            name=name,
            old_rank=a_RI.shape[0],
            new_rank=rank,
            truncation_error=scale * distance(b_OR, a_RI, stored_b_OK * ratio, stored_a_KI),
            predicted_error=scale * kept.dropped_norm(),
        )

    def grow(self, name: str, rank: int) -> ModuleResize:
        """Append drawn rows to A and zero columns to B, which leaves s B A as it is (3.3, 3.4)."""
        a_RI, b_OR = self.layers.parameters_of(name)
        old_rank = a_RI.shape[0]
        num_new = rank - old_rank
        moments_a, moments_b = self.optimizer.moments(a_RI), self.optimizer.moments(b_OR)
        if moments_a is not None:
            moments_a = grown(moments_a.transposed(), num_new)
        _, ratio = self._scale_and_its_change(name, rank)
        if moments_b is not None:
            moments_b = grown(scaled(moments_b, ratio), num_new)
        rows_NI = self.draw_rows(name, num_new).to(a_RI)
        a_KI = torch.cat([a_RI.detach(), rows_NI])
        b_OK = torch.cat([b_OR.detach() / ratio, b_OR.new_zeros(b_OR.shape[0], num_new)], dim=1)
        self._swap(name, a_KI, b_OK, moments_a and moments_a.transposed(), moments_b)
        return ModuleResize(name, old_rank, rank, truncation_error=0.0, predicted_error=0.0)

    def _scale_and_its_change(self, name: str, rank: int) -> tuple[float, float]:
        """Factor s at the present rank, and by how much the new rank multiplies it."""
        before = self.layers.scale_of(name)
        return before, self.layers.scale_of(name, rank) / before

    def _swap(
        self,
        name: str,
        a_KI: Tensor,
        b_OK: Tensor,
        moments_a: Moments | None,
        moments_b: Moments | None,
    ) -> None:
        """Put both tensors in place, in the model and in the optimizer, and count after each."""
        old_a, old_b = self.layers.parameters_of(name)
        self.optimizer.swap(old_a, self.layers.replace(name, "A", a_KI), moments_a)
        self.samples.append(self.layers.live_params())
        self.optimizer.swap(old_b, self.layers.replace(name, "B", b_OK), moments_b)
        self.samples.append(self.layers.live_params())
