"""Answers what planners ask to be measured, on probe items only, and says what it cost.

Shapes: B items.
"""

import time
from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from typing_extensions import override

from rankscope.models.data.parts import DataPart
from rankscope.models.lora.credit import adapter_credit
from rankscope.models.lora.elastic import ElasticLora
from rankscope.models.lora.probe import gradient_energy, weight_sensitivity
from rankscope.models.schedulers.contract import (
    GradientEnergy,
    GradientEnergyResult,
    HeldOutCredit,
    HeldOutCreditResult,
    KnockOut,
    KnockOutResult,
    Measure,
    MeasurementRequest,
    MeasurementResult,
    ProbeLoss,
    ProbeLossResult,
    WeightSensitivity,
    WeightSensitivityResult,
)
from rankscope.models.vlms.loading import LoadedVlm
from rankscope.tasks.batches import Collator
from rankscope.tasks.estimating import PROBE_ROWS
from rankscope.tasks.scoring import item_losses


@dataclass(frozen=True)
class Answer:
    """Results in the order asked, and their price."""

    results: tuple[MeasurementResult, ...]
    cost_s: float
    cost_items: int


class ItemMeasurer(ABC):
    """Runs measurements on probe items, wherever they come from."""

    def __init__(self, elastic: ElasticLora, num_items: int) -> None:
        self._elastic = elastic
        self._names = [module.name for module in elastic.inventory.modules]
        self.num_items = num_items

    @abstractmethod
    def batches(self, num_items: int) -> list[dict[str, torch.Tensor]]:
        """The first probe items, where the model is; items along the first axis."""

    def item_losses(self, model: torch.nn.Module, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        """Mean loss (nats) of every item of a batch, shape (B,)."""
        return item_losses(model, batch)

    def answer(self, request: Measure) -> Answer:
        """Measure everything in one request, the model in evaluation mode meanwhile."""
        model = self._elastic.peft_model
        was_training = model.training
        started_s = time.perf_counter()
        model.eval()
        try:
            answers = [self._one(one) for one in request.requests]
        finally:
            model.train(was_training)
        return Answer(
            results=tuple(result for result, _ in answers),
            cost_s=time.perf_counter() - started_s,
            cost_items=sum(cost_items for _, cost_items in answers),
        )

    def _one(self, request: MeasurementRequest) -> tuple[MeasurementResult, int]:
        num_items = self._enough(request.num_items)
        match request:
            case KnockOut():
                return self._knock_out(request, num_items), (len(request.groups) + 1) * num_items
            case ProbeLoss():
                losses_B = self._losses(num_items)
                result = ProbeLossResult(
                    loss=float(losses_B.mean()), loss_se=_standard_error(losses_B)
                )
                return result, num_items
            # A backward pass costs about two forward passes.
            case GradientEnergy():
                batches = self.batches(num_items)
                energy = gradient_energy(self._elastic, self._names, batches)
                return GradientEnergyResult(energy=energy), 3 * num_items
            case WeightSensitivity():
                batches = self.batches(num_items)
                sensitivity = weight_sensitivity(self._elastic, self._names, batches)
                return WeightSensitivityResult(sensitivity=sensitivity), 3 * num_items
            case HeldOutCredit():
                return self._held_out_credit(num_items), 3 * num_items

    def _knock_out(self, request: KnockOut, num_items: int) -> KnockOutResult:
        on_B = self._losses(num_items)
        rise, rise_se = {}, {}
        for group, names in request.groups.items():
            with self._elastic.switched_off(names):
                rise_B = self._losses(num_items) - on_B
            rise[group] = float(rise_B.mean())
            rise_se[group] = _standard_error(rise_B)
        return KnockOutResult(loss=float(on_B.mean()), rise=rise, rise_se=rise_se)

    def _held_out_credit(self, num_items: int) -> HeldOutCreditResult:
        credit_BM, losses_B = adapter_credit(
            self._elastic, self.batches(num_items), self.item_losses
        )
        by_module = list(zip(self._names, credit_BM.T, strict=True))
        return HeldOutCreditResult(
            loss=float(losses_B.mean()),
            loss_se=_standard_error(losses_B),
            credit={name: float(credit_B.mean()) for name, credit_B in by_module},
            credit_se={name: _standard_error(credit_B) for name, credit_B in by_module},
            fisher={name: float(credit_B.square().mean()) for name, credit_B in by_module},
        )

    def _losses(self, num_items: int) -> torch.Tensor:
        with torch.no_grad():
            model = self._elastic.peft_model
            losses = [self.item_losses(model, batch) for batch in self.batches(num_items)]
        return torch.cat(losses).double().cpu()

    def _enough(self, num_items: int) -> int:
        if num_items > self.num_items:
            raise ValueError(
                f"a scheduler may measure on at most the {self.num_items} probe items, "
                f"got {num_items}; lower its number of probe items"
            )
        return num_items


class Measurer(ItemMeasurer):
    """Runs measurements on the probe part of a data set."""

    def __init__(self, elastic: ElasticLora, vlm: LoadedVlm, probe: DataPart) -> None:
        super().__init__(elastic, len(probe))
        self._vlm = vlm
        self._collate = Collator(probe, vlm.processor)

    @override
    def batches(self, num_items: int) -> list[dict[str, torch.Tensor]]:
        batches = []
        for start in range(0, num_items, PROBE_ROWS):
            batch = self._collate(range(start, min(start + PROBE_ROWS, num_items)))
            batches.append({key: value.to(self._vlm.device) for key, value in batch.items()})
        return batches


def _standard_error(values_B: torch.Tensor) -> float:
    """Of the mean; 0 for a single item, whose spread nobody knows."""
    if len(values_B) < 2:
        return 0.0
    return float(values_B.std(correction=1) / len(values_B) ** 0.5)
