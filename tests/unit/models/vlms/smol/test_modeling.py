"""EfficientNet-Lite0, projector and SmolLM2 as one model."""

from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional

from rankscope.models.lora.inventory import list_linears
from rankscope.models.vlms.smol.modeling import (
    SmolVlmConfig,
    SmolVlmForConditionalGeneration,
    pooled,
)
from rankscope.models.vlms.smol.sizes import smol_linears
from rankscope.models.vlms.smol.vision import SameConv
from tests.unit.models.vlms.smol.tiny import examples, tiny_model, tiny_processor


def test_the_list_known_without_weights_is_the_models_own() -> None:
    with torch.device("meta"):
        model = SmolVlmForConditionalGeneration(SmolVlmConfig())
    assert list_linears(model) == smol_linears().model_copy(update={"sizes": None})
    assert smol_linears().total_params == 138_626_752


def test_convolutions_pad_as_tensorflow_does() -> None:
    """Kernel 3, stride 2 on four cells: one cell of padding, and that on the far side."""
    convolution = SameConv(1, 1, 3, stride=2)
    nn.init.ones_(convolution.weight)
    grid = torch.arange(16.0).reshape(1, 1, 4, 4)
    expected = torch.tensor([[45.0, 39.0], [66.0, 50.0]])  # 0+1+2+4+5+6+8+9+10, 2+3+6+7+10+11, ...
    torch.testing.assert_close(convolution(grid)[0, 0], expected)


def test_a_picture_is_its_mean_and_that_of_its_quarters() -> None:
    features = torch.arange(16.0).reshape(1, 1, 4, 4)
    assert pooled(features)[0, :, 0].tolist() == [7.5, 2.5, 4.5, 10.5, 12.5]


def test_every_image_id_gives_way_to_a_visual_token(tmp_path: Path) -> None:
    model = tiny_model()
    batch = tiny_processor(model, tmp_path).prompt_batch(examples())
    logits = model(**batch).logits
    other = batch | {"input_features": batch["input_features"].flip(0)}
    assert not torch.allclose(logits, model(**other).logits)
    without = {key: value for key, value in batch.items() if key != "input_features"}
    with pytest.raises(ValueError, match="must equal the visual tokens, got 10 for 0"):
        model(**without)


def test_the_loss_is_that_of_all_logits(tmp_path: Path) -> None:
    model = tiny_model()
    batch = tiny_processor(model, tmp_path).training_batch(examples())
    labels = batch.pop("labels")
    logits = model(**batch).logits[:, :-1]
    expected = functional.cross_entropy(logits.flatten(0, 1), labels[:, 1:].flatten())
    torch.testing.assert_close(model(**batch, labels=labels).loss, expected)


def test_training_leaves_the_towers_statistics_alone() -> None:
    model = tiny_model()
    before = {name: value.clone() for name, value in model.vision_tower.state_dict().items()}
    model.train()
    model.picture_features(torch.randn(4, 3, 32, 32))
    assert not model.vision_tower.training
    for name, value in model.vision_tower.state_dict().items():
        torch.testing.assert_close(value, before[name])


def test_a_saved_model_is_the_same_model(tmp_path: Path) -> None:
    model = tiny_model()
    batch = tiny_processor(model, tmp_path).prompt_batch(examples())
    model.save_pretrained(tmp_path / "saved")
    loaded = SmolVlmForConditionalGeneration.from_pretrained(tmp_path / "saved")
    torch.testing.assert_close(loaded(**batch).logits, model(**batch).logits)
