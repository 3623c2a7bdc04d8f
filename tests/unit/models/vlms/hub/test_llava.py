"""Layers of a CLIP tower that nothing reads."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForImageTextToText, PreTrainedModel

from rankscope.models.vlms.hub.llava import drop_unread_layers
from tests.unit.models.vlms.hub.conftest import ONE, Tiny

NUM_LAYERS = 2


def whole_model(folder: Path, read: int | list[int]) -> PreTrainedModel:
    model = AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32)
    assert isinstance(model, PreTrainedModel)
    model.config.vision_feature_layer = read
    torch.nn.Module.train(model, mode=False)
    return model


@pytest.mark.parametrize(
    ("family", "read", "num_left"),
    [("llava", -2, 1), ("llava", 1, 1), ("llava", -1, 2), ("llava_next", -2, 1)],
)
def test_the_model_without_them_is_the_same_function(
    family: str,
    read: int,
    num_left: int,
    tiny: Callable[[str], Tiny],
    tiny_folder: Callable[[str], Path],
) -> None:
    """Of 2 layers there are 3 states; -1 is the last layer's, -2 the first layer's."""
    batch = tiny(family).processor.training_batch([ONE])
    model = whole_model(tiny_folder(family), read)
    with torch.no_grad():
        before = model(**batch).logits
        drop_unread_layers(model)
        after = model(**batch).logits
    layers = model.get_submodule("model.vision_tower.encoder.layers")
    assert len(list(layers.children())) == num_left
    assert torch.equal(after, before)


def test_what_is_saved_without_them_loads_again(
    tiny: Callable[[str], Tiny], tmp_path: Path
) -> None:
    vlm = tiny("llava")
    batch = vlm.processor.training_batch([ONE])
    vlm.model.save_pretrained(tmp_path)
    again = AutoModelForImageTextToText.from_pretrained(tmp_path, dtype=torch.float32)
    with torch.no_grad():
        assert torch.equal(again(**batch).logits, vlm.model(**batch).logits)


def test_of_several_states_the_last_decides(tiny_folder: Callable[[str], Path]) -> None:
    model = whole_model(tiny_folder("llava"), [0, -2])
    drop_unread_layers(model)
    assert model.config.vision_feature_layer == [0, 1]
    layers = model.get_submodule("model.vision_tower.encoder.layers")
    assert len(list(layers.children())) == 1


def test_a_tower_of_another_kind_is_left_as_it_is(tiny_folder: Callable[[str], Path]) -> None:
    """SigLIP's last state is normalised, so that it cannot stand in for one before."""
    model = AutoModelForImageTextToText.from_pretrained(tiny_folder("paligemma"))
    drop_unread_layers(model)
    layers = model.get_submodule("model.vision_tower.encoder.layers")
    assert len(list(layers.children())) == NUM_LAYERS
