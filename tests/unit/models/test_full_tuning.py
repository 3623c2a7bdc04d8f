"""Full fine-tuning of the adaptable modules' own weights."""

from pathlib import Path

import torch
from torch import nn

from rankscope.models.full_tuning import FullTuning
from rankscope.models.inventory import Inventory
from rankscope.models.lora.inventory import find_modules


class TwoLayers(nn.Module):
    """Two adaptable linears with biases, and a head that is not adapted."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            nn.ModuleDict({"up": nn.Linear(3, 5), "down": nn.Linear(5, 3)}) for _ in range(2)
        )
        self.lm_head = nn.Linear(3, 7)


def frozen(seed: int) -> tuple[nn.Module, Inventory]:
    torch.manual_seed(seed)
    model = TwoLayers().requires_grad_(requires_grad=False)
    return model, find_modules(model, "up", frozenset({"language"}))


def test_exactly_the_adaptable_weights_are_trained_under_the_models_own_names() -> None:
    """Two 5 x 3 weights: 30 parameters; biases, other linears and the head stay frozen."""
    model, inventory = frozen(0)
    tuning = FullTuning(model, inventory)
    trained = {name for name, p in model.named_parameters() if p.requires_grad}
    assert trained == {"layers.0.up.weight", "layers.1.up.weight"}
    assert tuning.modules_of_parameters() == {
        f"{n}.weight": n for n in ("layers.0.up", "layers.1.up")
    }
    assert tuning.live_params() == 30
    assert tuning.ranks() == {}
    assert tuning.model is model


def test_the_weights_come_back_bitwise_and_nothing_else_changes() -> None:
    tuning, other = FullTuning(*frozen(0)), FullTuning(*frozen(1))
    saved = {name: tensor.detach().clone() for name, tensor in tuning.state().items()}
    rest = {
        name: p.detach().clone() for name, p in other.model.named_parameters() if name not in saved
    }
    with torch.no_grad():
        tuning.model.get_parameter("layers.0.up.weight").zero_()
    other.load({}, saved)
    for name, parameter in other.model.named_parameters():
        assert torch.equal(parameter, saved[name] if name in saved else rest[name]), name


def test_there_is_no_adapter_to_export(tmp_path: Path) -> None:
    FullTuning(*frozen(0)).export(tmp_path / "out", base_model_name="tiny")
    assert not (tmp_path / "out").exists()
    assert not (tmp_path / "out").exists()
