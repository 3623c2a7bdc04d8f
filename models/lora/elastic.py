"""Elastic LoRA: a stock peft model whose adapters' ranks can move while it trains."""

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Self, cast

import torch
from peft import PeftModel
from torch import Tensor, nn
from torch.optim import Optimizer

from rankscope.models.inventory import Inventory
from rankscope.models.lora.attach import Factor, LoraLayers, kaiming_rows
from rankscope.models.lora.resize import ResizeReport, check_ranks, resize
from rankscope.models.lora.scaling import Scaling
from rankscope.models.lora.surgery import OptimizerSurgery


@dataclass(frozen=True)
class LoraState:
    """All that rebuilds the adapters bit by bit: the rank table first, then the tensors."""

    ranks: dict[str, int]
    num_resizes: int
    tensors: dict[str, Tensor]
    """``{module}.lora_A`` (R x d_in) and ``{module}.lora_B`` (d_out x R), copies on the CPU."""


class ElasticLora:
    """Adapters of moving rank on a model.

    Args:
        model: Base model; its chosen linears are wrapped in place by peft.
        inventory: The modules to adapt (`find_modules`).
        ranks: Starting ranks; modules left out start at 0.
        scale: Factor s in y = W x + s B A x, the same at every rank unless ``rs_rank`` is given.
        seed: Of the rows of A; B starts at zero.
        rs_rank: Reference rank of rsLoRA's scale; see :class:`Scaling`.
        keeps_moments: Whether a module that changes rank keeps its Adam moments.

    Raises:
        ValueError: If ``ranks`` names an unknown module or a rank is out of range.
    """

    def __init__(
        self,
        model: nn.Module,
        inventory: Inventory,
        ranks: Mapping[str, int],
        *,
        scale: float,
        seed: int,
        rs_rank: float | None = None,
        keeps_moments: bool = True,
    ) -> None:
        check_ranks(inventory, ranks)
        self.layers = LoraLayers(model, inventory, Scaling(scale, rs_rank))
        self.seed = seed
        self.keeps_moments = keeps_moments
        self.num_resizes = 0
        for module in inventory.modules:
            rank = ranks.get(module.name, 0)
            rows_RI = kaiming_rows(rank, module.d_in, seed=seed, name=module.name, num_resizes=0)
            self.layers.replace(module.name, "A", rows_RI)
            self.layers.replace(module.name, "B", torch.zeros(module.d_out, rank))
        self.layers.sync_config()
        self.check()

    @classmethod
    def adopt(cls, layers: LoraLayers, *, seed: int) -> Self:
        """Take over adapters as they are: ranks, values and each module's own scale.

        Args:
            layers: Of a peft model that somebody else made (`adopting.adopt`).
            seed: Of the rows that growing modules get.
        """
        elastic = cls.__new__(cls)
        elastic.layers = layers
        elastic.seed = seed
        elastic.keeps_moments = True
        elastic.num_resizes = 0
        elastic.check()
        return elastic

    @property
    def peft_model(self) -> PeftModel:
        """The wrapped model, to be trained in the place of the base model."""
        return self.layers.peft_model

    @property
    def inventory(self) -> Inventory:
        """The adapted modules."""
        return self.layers.inventory

    def ranks(self) -> dict[str, int]:
        """Every module's present rank, in inventory order."""
        return self.layers.ranks()

    def live_params(self) -> int:
        """Adapter parameters alive now, counted in the real tensors."""
        return self.layers.live_params()

    def check(self) -> None:
        """Raise RuntimeError if the booked ranks and the real tensors disagree."""
        self.layers.check()

    def parameters_of(self, name: str) -> tuple[nn.Parameter, nn.Parameter]:
        """The live parameters A and B of a module, for optimizer groups; a resize replaces them."""
        return self.layers.parameters_of(name)

    def base_linear(self, name: str) -> nn.Linear:
        """The frozen linear of the base model that a module's adapter sits on."""
        return cast("nn.Linear", self.layers.by_name[name].base_layer)

    def resize(
        self, ranks: Mapping[str, int], optimizer: Optimizer | None, *, budget: int
    ) -> ResizeReport:
        """Bring modules to new ranks, the optimizer's state with them; see `resize.resize`.

        Call it between optimizer steps, never inside a gradient accumulation window: the moved
        modules' gradients are gone.
        """
        surgery = OptimizerSurgery(optimizer, keeps_moments=self.keeps_moments)
        report = resize(self.layers, ranks, surgery, budget=budget, draw_rows=self._draw_rows)
        self.num_resizes += 1
        return report

    @contextmanager
    def switched_off(self, names: Collection[str]) -> Iterator[None]:
        """The named modules' adapters contribute nothing inside the block.

        Raises:
            ValueError: If a name is not in the inventory.
        """
        unknown = sorted(set(names) - self.layers.by_name.keys())
        if unknown:
            raise ValueError(
                f"only adapted modules can be switched off, got {unknown[0]!r}; drop it"
            )
        scalings = {name: self.layers.by_name[name].scaling for name in names}
        adapter = self.layers.adapter
        before = {name: scaling[adapter] for name, scaling in scalings.items()}
        try:
            for scaling in scalings.values():
                scaling[adapter] = 0.0
            yield
        finally:
            for name, scaling in scalings.items():
                scaling[adapter] = before[name]

    def state(self) -> LoraState:
        """A copy of the adapters for a checkpoint."""
        tensors = {}
        for name in self.layers.by_name:
            a, b = self.parameters_of(name)
            tensors[f"{name}.lora_A"] = a.detach().cpu().clone()
            tensors[f"{name}.lora_B"] = b.detach().cpu().clone()
        return LoraState(self.ranks(), self.num_resizes, tensors)

    def load(self, state: LoraState) -> None:
        """Rebuild the adapters of a checkpoint: shapes first, then values.

        Load before the optimizer is made: a module whose rank differs gets new parameters.

        Raises:
            ValueError: If the state is of other modules or its tensors contradict its ranks;
                nothing was changed then.
        """
        modules = {module.name: module for module in self.inventory.modules}
        if state.ranks.keys() != modules.keys():
            odd = min(state.ranks.keys() ^ modules.keys())
            raise ValueError(
                f"a checkpoint must hold exactly the adapted modules, got a difference at {odd!r}; "
                "load it into a model with the same targets"
            )
        shapes: dict[tuple[str, Factor], tuple[int, int]] = {}
        for name, rank in state.ranks.items():
            shapes[name, "A"] = (rank, modules[name].d_in)
            shapes[name, "B"] = (modules[name].d_out, rank)
        for (name, factor), shape in shapes.items():
            tensor = state.tensors.get(f"{name}.lora_{factor}")
            if tensor is None or tensor.shape != shape:
                raise ValueError(
                    f"{name}.lora_{factor} must have the shape {shape} of the checkpoint's rank "
                    f"table, got {None if tensor is None else tuple(tensor.shape)}; "
                    "use a checkpoint that was written whole"
                )
        for name, factor in shapes:
            self._fill(name, factor, state.tensors[f"{name}.lora_{factor}"])
        self.num_resizes = state.num_resizes
        self.layers.sync_config()
        self.check()

    def _fill(self, name: str, factor: Factor, tensor: Tensor) -> None:
        """Take over one factor, in place where its shape is right already."""
        weight = self.layers.linear(name, factor).weight
        if weight.shape == tensor.shape:
            with torch.no_grad():
                weight.copy_(tensor)
        else:
            self.layers.replace(name, factor, tensor)

    def _draw_rows(self, name: str, num_rows: int) -> Tensor:
        d_in = self.layers.linear(name, "A").in_features
        return kaiming_rows(
            num_rows, d_in, seed=self.seed, name=name, num_resizes=self.num_resizes + 1
        )
