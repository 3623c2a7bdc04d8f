"""What the training loop needs of what a run trains: elastic LoRA, AdaLoRA or the weights."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from torch import Tensor, nn

Batches = Callable[[int], Iterable[Mapping[str, Tensor]]]
"""The first so many training batches of the run, on the model's device."""


@dataclass(frozen=True)
class Preparation:
    """What a tuning did before the first step."""

    text: str
    """For people."""
    cost_items: int = 0
    """Forward passes over single training items that it took; a backward pass counts as two."""


class Tuning(Protocol):
    """The trained parameters of one run."""

    @property
    def model(self) -> nn.Module:
        """The model to run and to train."""
        ...

    def prepare(self, batches: Batches) -> Preparation | None:
        """Set out, from training data where need be; None if there was nothing to do.

        Called before the first step, and not in a run that resumes: there ``load`` brings back what
        came of it.
        """
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
