"""Elastic LoRA as the training loop sees it."""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from rankscope.models.lora.attach import ADAPTER
from rankscope.models.lora.elastic import ElasticLora, LoraState
from rankscope.models.lora.export import export
from rankscope.models.tuning import Batches, Preparation

_NUM_RESIZES = "num_resizes"


class ElasticTuning:
    """Trains the adapters of an :class:`ElasticLora`."""

    def __init__(self, elastic: ElasticLora) -> None:
        self.elastic = elastic

    @property
    def model(self) -> nn.Module:
        """The peft model."""
        return self.elastic.peft_model

    def prepare(self, batches: Batches) -> Preparation | None:
        """Nothing to do: a planner gives the first ranks."""
        del batches
        return None

    def ranks(self) -> dict[str, int]:
        """Rank per module, in inventory order."""
        return self.elastic.ranks()

    def live_params(self) -> int:
        """Adapter parameters counted in the real tensors."""
        return self.elastic.live_params()

    def modules_of_parameters(self) -> dict[str, str]:
        """Parameter's name in the peft model -> its module."""
        return {
            f"base_model.model.{name}.{factor}.{ADAPTER}.weight": name
            for name in self.elastic.ranks()
            for factor in ("lora_A", "lora_B")
        }

    def after_step(self, step: int) -> None:
        """Nothing to do: a planner moves the ranks, between steps."""

    def state(self) -> dict[str, Tensor]:
        """A and B of every module, and the count of resizes, which new rows are drawn from."""
        state = self.elastic.state()
        return state.tensors | {_NUM_RESIZES: torch.tensor(state.num_resizes)}

    def load(self, ranks: Mapping[str, int], tensors: Mapping[str, Tensor]) -> None:
        """Shapes first, then values."""
        factors = {name: value for name, value in tensors.items() if name != _NUM_RESIZES}
        self.elastic.load(LoraState(dict(ranks), int(tensors[_NUM_RESIZES]), factors))

    def export(self, folder: Path, *, base_model_name: str) -> None:
        """Write a plain PEFT adapter; see :func:`export.export`."""
        export(self.elastic, folder, base_model_name=base_model_name)
