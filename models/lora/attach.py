"""Wrap a model in a stock peft LoRA and read or replace its tensors module by module.

Shapes: O outputs (d_out), I inputs (d_in), R rank.
"""

import hashlib
import math
from typing import Literal, cast

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from peft.tuners.lora import LoraLayer
from torch import Tensor, nn

from rankscope.models.inventory import Inventory
from rankscope.models.lora.naming import alpha_pattern, exact_targets, rank_pattern

ADAPTER = "default"
Factor = Literal["A", "B"]


class LoraLayers:
    """The LoRA layers of one peft model, by the module's name in the base model.

    Layers stay of peft's own class. A module at rank 0 stays in the model with tensors of zero
    rows, which forward and backward pass through. The scale of a module is the same constant at
    every rank (ALGORITHMS 3.4, choice a).

    Args:
        model: Base model; its chosen linears are replaced by peft's layers in place.
        inventory: The modules to adapt; all get rank 1.
        scale: Factor s in y = W x + s B A x.
    """

    def __init__(self, model: nn.Module, inventory: Inventory, scale: float) -> None:
        names = tuple(module.name for module in inventory.modules)
        self.module_names = tuple(name for name, _ in model.named_modules())
        targets = exact_targets(names, self.module_names)
        config = LoraConfig(r=1, lora_alpha=1, lora_dropout=0.0, target_modules=targets)
        self.peft_model: PeftModel = get_peft_model(model, config)
        self.inventory = inventory
        self.scale = scale
        self.by_name = {name: cast("LoraLayer", model.get_submodule(name)) for name in names}

    def linear(self, name: str, factor: Factor) -> nn.Linear:
        """Peft's linear that holds a factor's weight."""
        layer = self.by_name[name]
        return cast("nn.Linear", (layer.lora_A if factor == "A" else layer.lora_B)[ADAPTER])

    def parameters_of(self, name: str) -> tuple[nn.Parameter, nn.Parameter]:
        """The live parameters A (R x I) and B (O x R) of a module; a resize replaces them."""
        a, b = self.linear(name, "A").weight, self.linear(name, "B").weight
        return cast("nn.Parameter", a), cast("nn.Parameter", b)

    def ranks(self) -> dict[str, int]:
        """Every module's rank as booked in peft's layers, in inventory order."""
        return {name: layer.r[ADAPTER] for name, layer in self.by_name.items()}

    def live_params(self) -> int:
        """Adapter parameters counted in the model's real tensors, never in the books."""
        return sum(p.numel() for name, p in self.peft_model.named_parameters() if ".lora_" in name)

    def check(self) -> None:
        """Raise RuntimeError if the booked ranks and the real tensors disagree."""
        for module in self.inventory.modules:
            a, b = self.parameters_of(module.name)
            rank = self.by_name[module.name].r[ADAPTER]
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
        layer.r[ADAPTER] = rank
        layer.lora_alpha[ADAPTER] = self.scale * rank
        layer.scaling[ADAPTER] = self.scale
        return new

    def sync_config(self) -> None:
        """Write the present ranks into the live peft config, which peft's own saving reads."""
        config = cast("LoraConfig", self.peft_model.peft_config[ADAPTER])
        config.rank_pattern = dict(rank_pattern(self.ranks()))
        config.alpha_pattern = dict(alpha_pattern(self.ranks(), self.scale))


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
