"""The LoRA layers of a stock peft model, ours or somebody's, tensor by tensor.

Shapes: O outputs (d_out), I inputs (d_in), R rank.
"""

import hashlib
import math
from collections.abc import Mapping
from typing import Literal, Self, cast

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from peft.tuners.lora import LoraLayer
from torch import Tensor, nn

from rankscope.models.inventory import Inventory
from rankscope.models.lora.naming import alpha_pattern, exact_targets, rank_pattern
from rankscope.models.lora.scaling import Scaling

ADAPTER = "default"
Factor = Literal["A", "B"]


class LoraLayers:
    """The LoRA layers of one peft model, by the module's name in the base model.

    Layers stay of peft's own class. A module at rank 0 stays in the model with tensors of zero
    rows, which forward and backward pass through.

    Args:
        model: Base model; its chosen linears are replaced by peft's layers in place.
        inventory: The modules to adapt; all get rank 1.
        scaling: Of every module's factor s in y = W x + s B A x.
    """

    def __init__(self, model: nn.Module, inventory: Inventory, scaling: Scaling) -> None:
        names = tuple(module.name for module in inventory.modules)
        module_names = tuple(name for name, _ in model.named_modules())
        targets = exact_targets(names, module_names)
        config = LoraConfig(r=1, lora_alpha=1, lora_dropout=0.0, target_modules=targets)
        peft_model = cast("PeftModel", get_peft_model(model, config))
        self._hold(peft_model, inventory, dict.fromkeys(names, scaling), ADAPTER)
        self.module_names = module_names

    @classmethod
    def adopt(
        cls, peft_model: PeftModel, inventory: Inventory, scales: Mapping[str, float], adapter: str
    ) -> Self:
        """Take over the layers of a peft model that somebody else made; nothing in it changes.

        ``models.lora.adopting`` finds out whether that is possible, and the arguments.

        Args:
            peft_model: The model with LoRA layers on linears.
            inventory: The modules that have one.
            scales: Each module's factor s, which it keeps at every rank.
            adapter: Name of the adapter within peft.
        """
        layers = cls.__new__(cls)
        scalings = {name: Scaling(scale) for name, scale in scales.items()}
        layers._hold(peft_model, inventory, scalings, adapter)
        inside = tuple(f"{name}." for name in layers.by_name)
        base_names = (name for name, _ in peft_model.get_base_model().named_modules())
        layers.module_names = tuple(name for name in base_names if not name.startswith(inside))
        return layers

    def _hold(
        self,
        peft_model: PeftModel,
        inventory: Inventory,
        scalings: Mapping[str, Scaling],
        adapter: str,
    ) -> None:
        self.peft_model = peft_model
        self.inventory = inventory
        self.adapter = adapter
        self._scalings = dict(scalings)
        base = peft_model.get_base_model()
        self.by_name = {
            module.name: cast("LoraLayer", base.get_submodule(module.name))
            for module in inventory.modules
        }

    def scale_of(self, name: str, rank: int | None = None) -> float:
        """Factor s of one module in y = W x + s B A x, at its present rank or another."""
        present = self.by_name[name].r[self.adapter]
        return self._scalings[name].at(present if rank is None else rank)

    def scales(self) -> dict[str, float]:
        """Every module's factor s at its present rank, in inventory order."""
        return {name: self.scale_of(name) for name in self.by_name}

    def linear(self, name: str, factor: Factor) -> nn.Linear:
        """Peft's linear that holds a factor's weight."""
        layer = self.by_name[name]
        return cast("nn.Linear", (layer.lora_A if factor == "A" else layer.lora_B)[self.adapter])

    def parameters_of(self, name: str) -> tuple[nn.Parameter, nn.Parameter]:
        """The live parameters A (R x I) and B (O x R) of a module; a resize replaces them."""
        a, b = self.linear(name, "A").weight, self.linear(name, "B").weight
        return cast("nn.Parameter", a), cast("nn.Parameter", b)

    def ranks(self) -> dict[str, int]:
        """Every module's rank as booked in peft's layers, in inventory order."""
        return {name: layer.r[self.adapter] for name, layer in self.by_name.items()}

    def live_params(self) -> int:
        """Adapter parameters counted in the model's real tensors, never in the books."""
        others = tuple(
            f".{name}.weight" for name in self.peft_model.peft_config if name != self.adapter
        )
        return sum(
            p.numel()
            for name, p in self.peft_model.named_parameters()
            if ".lora_" in name and not name.endswith(others)
        )

    def check(self) -> None:
        """Raise RuntimeError if the booked ranks and the real tensors disagree."""
        for module in self.inventory.modules:
            a, b = self.parameters_of(module.name)
            rank = self.by_name[module.name].r[self.adapter]
            if a.shape != (rank, module.d_in) or b.shape != (module.d_out, rank):
                raise RuntimeError(
                    f"{module.name} must hold tensors of its booked rank {rank}, "
                    f"got A {tuple(a.shape)}, B {tuple(b.shape)}; resize through ElasticLora only"
                )
        booked, live = self.inventory.params(self.ranks()), self.live_params()
        if booked != live:
            raise RuntimeError(
                f"live adapter parameters must equal the booked {booked}, got {live}; "
                "the model holds adapters that the inventory does not know"
            )

    def replace(self, name: str, factor: Factor, weight: Tensor) -> nn.Parameter:
        """Put a copy of a tensor in a factor's place and book its rank.

        Device, dtype and requires_grad stay as they were; the gradient is gone.
        """
        linear = self.linear(name, factor)
        old = linear.weight
        new = nn.Parameter(
            old.new_empty(weight.shape).copy_(weight.detach()),
            requires_grad=old.requires_grad,
        )
        linear.weight = new
        linear.out_features, linear.in_features = new.shape
        layer, rank = self.by_name[name], new.shape[0 if factor == "A" else 1]
        layer.r[self.adapter] = rank
        layer.lora_alpha[self.adapter] = self.scale_of(name) * rank  # as booked just above
        layer.scaling[self.adapter] = self.scale_of(name)
        return new

    def sync_config(self) -> None:
        """Write the present ranks into the live peft config, which peft's own saving reads.

        Modules at rank 0 are no targets there, for peft refuses to load a rank of 0.
        """
        config = cast("LoraConfig", self.peft_model.peft_config[self.adapter])
        held = {name: rank for name, rank in self.ranks().items() if rank > 0}
        config.rank_pattern = dict(rank_pattern(held))
        config.alpha_pattern = dict(alpha_pattern(held, self.scales()))
        if held:
            config.target_modules = exact_targets(held, self.module_names)


def kaiming_rows(num_rows: int, d_in: int, *, seed: int, name: str, num_resizes: int) -> Tensor:
    """New rows of A, uniform in +-1/sqrt(d_in): peft's own start (Kaiming with a = sqrt 5).

    Rows depend on the run's seed, the module's name and the count of resizes so far, not on the
    order in which modules are visited nor on any global random state.

    Args:
        num_rows: Rows to draw.
        d_in: Inputs of the module.
        seed: The run's seed.
        name: The module's full path.
        num_resizes: 0 when the adapters are made, then 1 for the first resize and so on.

    Returns:
        num_rows x d_in, float32 on the CPU.
    """
    digest = hashlib.sha256(f"{seed}/{name}/{num_resizes}".encode()).digest()
    generator = torch.Generator().manual_seed(int.from_bytes(digest[:7], "big"))
    bound = 1.0 / math.sqrt(d_in)
    return torch.empty(num_rows, d_in).uniform_(-bound, bound, generator=generator)
