"""What the training loop needs of what a run trains: elastic LoRA, AdaLoRA or the weights."""

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from torch import Tensor, nn


class Tuning(Protocol):
    """The trained parameters of one run."""

    @property
    def model(self) -> nn.Module:
        """The model to run and to train."""
        ...

    def ranks(self) -> dict[str, int]:
        """Rank per adapted module now; empty where nothing has a rank."""
        ...

    def live_params(self) -> int:
        """Adapter parameters alive now, counted on the real tensors."""
        ...

    def modules_of_parameters(self) -> dict[str, str]:
        """Trained parameter's name in ``model`` -> path of the base module it belongs to."""
        ...

    def after_step(self, step: int) -> None:
        """Called after the optimizer's step number ``step`` (0-based), gradients still there."""
        ...

    def state(self) -> dict[str, Tensor]:
        """Its trained parameters and whatever else it needs to go on."""
        ...

    def load(self, ranks: Mapping[str, int], tensors: Mapping[str, Tensor]) -> None:
        """Go back to a checkpoint, shapes first; called before the optimizer is made."""
        ...

    def export(self, folder: Path, *, base_model_name: str) -> None:
        """Write the result as a plain PEFT adapter."""
        ...
