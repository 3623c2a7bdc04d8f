"""Learning rates per parameter: layer-wise factors, those a planner sets and LoRA+'s for B."""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR

from rankscope.models.inventory import place_of
from rankscope.models.training_settings import OptimizerSettings

_B = ".lora_B."
"""In the name of every B that peft trains."""


class Rates:
    """Which factor of the peak learning rate each trained parameter gets.

    Parameters of equal factor share one optimizer group: a fused step over few groups costs half of
    one group per module on small models.
    """

    def __init__(
        self, settings: OptimizerSettings, modules_of_parameters: Mapping[str, str], num_layers: int
    ) -> None:
        self._settings = settings
        self._modules = modules_of_parameters
        self._num_layers = num_layers

    def factor(self, parameter: str, planned: Mapping[str, float]) -> float:
        """Factor of one trained parameter; what lies outside the adapted modules has its own."""
        module = self._modules.get(parameter)
        if module is None:
            return self._settings.full_lr_ratio
        part, layer = place_of(module)
        layer_factor = 1.0
        if part == "language" and layer is not None:
            layer_factor = self._settings.layer_rates.factor(layer, self._num_layers)
        ratio = self._settings.b_lr_ratio if _B in parameter else 1.0
        return layer_factor * planned.get(module, 1.0) * ratio

    def groups(self, model: nn.Module, planned: Mapping[str, float]) -> list[dict[str, Any]]:
        """Optimizer groups of all trained parameters, by descending factor."""
        by_factor: dict[float, list[nn.Parameter]] = defaultdict(list)
        for name, parameter in model.named_parameters():
            if parameter.requires_grad:
                by_factor[self.factor(name, planned)].append(parameter)
        return [
            {"params": by_factor[factor], "lr": self._settings.lr * factor, "factor": factor}
            for factor in sorted(by_factor, reverse=True)
        ]

    def regroup(
        self,
        model: nn.Module,
        planned: Mapping[str, float],
        optimizer: torch.optim.Optimizer,
        schedule: LambdaLR,
    ) -> None:
        """Give every parameter its new factor, optimizer state and schedule kept."""
        template = {
            key: value
            for key, value in optimizer.param_groups[0].items()
            if key not in ("params", "lr", "initial_lr", "factor")
        }
        decay = schedule.lr_lambdas[0]
        progress = decay(schedule.last_epoch)
        groups = [template | group for group in self.groups(model, planned)]
        for group in groups:
            group["initial_lr"] = group["lr"]
            group["lr"] = group["initial_lr"] * progress
        optimizer.param_groups[:] = groups
        schedule.base_lrs = [group["initial_lr"] for group in groups]
        schedule.lr_lambdas = [decay] * len(groups)
        schedule._last_lr = [group["lr"] for group in groups]


def current_lr(optimizer: torch.optim.Optimizer) -> float:
    """The learning rate now, before all factors."""
    group = optimizer.param_groups[0]
    return float(group["lr"] / group["factor"])
