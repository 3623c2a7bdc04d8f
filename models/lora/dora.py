"""DoRA as peft has it, in our loop (training side of ``schedulers.dora``).

Shapes: R rank of a module, O outputs, I inputs.
"""

from collections.abc import Mapping
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model
from torch import Tensor, nn

from rankscope.models.inventory import Inventory
from rankscope.models.lora.attach import ADAPTER, kaiming_rows
from rankscope.models.lora.export import write_adapter
from rankscope.models.lora.naming import alpha_pattern, exact_targets, rank_pattern
from rankscope.models.lora.scaling import Scaling
from rankscope.models.schedulers.leaving_out import told
from rankscope.models.tuning import Batches, Preparation

_MAGNITUDE = "lora_magnitude_vector"


class DoraTuning:
    """peft's DoRA at ranks that stay: m (W + s B A) / ||W + s B A||, norms per output.

    Args:
        model: Base model; its chosen linears are wrapped in place.
        inventory: The adaptable modules.
        ranks: Of every module; those at rank 0 keep their weight without a magnitude.
        scaling: Of every module's factor s.
        seed: Of A's rows, the same as plain LoRA's; B starts at zero, m at the weight's norms.

    Source: Liu et al. 2024, arXiv 2402.09353; peft ``LoraConfig.use_dora``.
    """

    def __init__(
        self,
        model: nn.Module,
        inventory: Inventory,
        ranks: Mapping[str, int],
        *,
        scaling: Scaling,
        seed: int,
    ) -> None:
        self._ranks = {module.name: ranks[module.name] for module in inventory.modules}
        adapted = {name: rank for name, rank in self._ranks.items() if rank > 0}
        self._scales = {name: scaling.at(rank) for name, rank in adapted.items()}
        self._module_names = tuple(name for name, _ in model.named_modules())
        config = LoraConfig(
            r=1,
            lora_alpha=1,
            lora_dropout=0.0,
            use_dora=True,
            target_modules=exact_targets(adapted, self._module_names),
            rank_pattern=rank_pattern(adapted),
            alpha_pattern=dict(alpha_pattern(adapted, self._scales)),
        )
        self.model: nn.Module = get_peft_model(model, config)
        with torch.no_grad():
            for module in inventory.modules:
                if module.name in adapted:
                    self._parameter(module.name, "lora_A").copy_(
                        kaiming_rows(
                            adapted[module.name],
                            module.d_in,
                            seed=seed,
                            name=module.name,
                            num_resizes=0,
                        )
                    )

    def prepare(self, batches: Batches) -> Preparation | None:
        """Nothing to do, but to tell which modules are left out."""
        del batches
        left_out = [name for name, rank in self._ranks.items() if rank == 0]
        if not left_out:
            return None
        return Preparation(
            f"DoRA keeps A, B and magnitudes within the budget on {len(self._scales)} modules, "
            f"{len(left_out)} left out ({told(left_out)})"
        )

    def ranks(self) -> dict[str, int]:
        """Every module's rank; 0 for modules left out."""
        return dict(self._ranks)

    def live_params(self) -> int:
        """A, B and magnitudes, counted on the real tensors."""
        return sum(p.numel() for name, p in self.model.named_parameters() if ".lora_" in name)

    def modules_of_parameters(self) -> dict[str, str]:
        """Parameter's name in ``model`` -> its module."""
        return {
            _path(name, factor): name
            for name in self._scales
            for factor in ("lora_A", "lora_B", _MAGNITUDE)
        }

    def after_step(self, step: int) -> None:
        """Nothing to do."""

    def state(self) -> dict[str, Tensor]:
        """A, B and magnitudes."""
        return {path: self.model.get_parameter(path) for path in self.modules_of_parameters()}

    def load(self, ranks: Mapping[str, int], tensors: Mapping[str, Tensor]) -> None:
        """Put them back; the ranks are those of the configuration."""
        del ranks
        with torch.no_grad():
            for path in self.modules_of_parameters():
                self.model.get_parameter(path).copy_(tensors[path])

    def export(self, folder: Path, *, base_model_name: str) -> None:
        """Write peft's DoRA adapter, magnitudes included."""
        write_adapter(
            folder,
            {
                name: (self._parameter(name, "lora_A"), self._parameter(name, "lora_B"))
                for name in self._scales
            },
            scales=self._scales,
            module_names=self._module_names,
            base_model_name=base_model_name,
            magnitudes={name: self._parameter(name, _MAGNITUDE) for name in self._scales},
        )

    def _parameter(self, name: str, factor: str) -> nn.Parameter:
        return self.model.get_parameter(_path(name, factor))


def _path(name: str, factor: str) -> str:
    return f"base_model.model.{name}.{factor}.{ADAPTER}.weight"
