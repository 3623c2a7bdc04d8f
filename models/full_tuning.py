"""Full fine-tuning of the adaptable modules' own weights: the reference that no budget binds."""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from rankscope.models.inventory import Inventory
from rankscope.models.tuning import Batches


class FullTuning:
    """The base weights of the chosen modules, trained in place (training side of ``Full``)."""

    def __init__(self, model: nn.Module, inventory: Inventory) -> None:
        self.model = model
        self._modules = {f"{module.name}.weight": module.name for module in inventory.modules}
        for name in self._modules:
            model.get_parameter(name).requires_grad_(True)

    def prepare(self, batches: Batches) -> None:
        """Nothing to do."""
        del batches

    def ranks(self) -> dict[str, int]:
        """Nothing has a rank."""
        return {}

    def live_params(self) -> int:
        """The trained weights, counted on the tensors; no adapter is among them."""
        return sum(self.model.get_parameter(name).numel() for name in self._modules)

    def modules_of_parameters(self) -> dict[str, str]:
        """Weight's name -> its module."""
        return dict(self._modules)

    def after_step(self, step: int) -> None:
        """Nothing to do."""

    def state(self) -> dict[str, Tensor]:
        """The trained weights."""
        return {name: self.model.get_parameter(name) for name in self._modules}

    def load(self, ranks: Mapping[str, int], tensors: Mapping[str, Tensor]) -> None:
        """Put the trained weights back."""
        del ranks
        with torch.no_grad():
            for name in self._modules:
                self.model.get_parameter(name).copy_(tensors[name])

    def export(self, folder: Path, *, base_model_name: str) -> None:
        """Write nothing: there is no adapter, and trained weights are saved whoever trains them."""
        del folder, base_model_name
