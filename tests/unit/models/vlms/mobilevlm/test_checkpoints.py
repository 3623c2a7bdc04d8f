"""Official checkpoints, read as the official code names their parts."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor
from transformers import CLIPVisionModel

from rankscope.models.vlms.mobilevlm.checkpoints import (
    load_checkpoint,
    official_config,
)
from rankscope.models.vlms.mobilevlm.configuration import named_config
from rankscope.models.vlms.mobilevlm.modeling import MobileVlmForConditionalGeneration
from rankscope.models.vlms.mobilevlm.sizes import ProjectorKind
from tests.unit.models.vlms.mobilevlm.official import (
    official_tensors,
    write_config,
    write_official,
    write_vision_config,
)
from tests.unit.models.vlms.mobilevlm.tiny import assert_same, tiny_model

PROJECTORS: tuple[ProjectorKind, ...] = ("ldpnet", "ldpnetv2")
TOWER = "model.vision_tower."


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    folder = tmp_path / "official"
    folder.mkdir()
    return folder


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """CLIP's configuration without its weights."""
    return write_vision_config(tmp_path / "clip", tiny_model().config.vision_config)


@pytest.mark.parametrize("projector", PROJECTORS)
def test_an_official_checkpoint_gives_the_same_logits_here_and_once_saved(
    checkpoint: Path, clip: Path, tmp_path: Path, projector: ProjectorKind
) -> None:
    model = tiny_model(projector)
    write_official(checkpoint, model, official_tensors(model))
    loaded = load_checkpoint(checkpoint, vision_folder=clip)
    assert not loaded.training
    assert_same(loaded, model)
    loaded.save_pretrained(tmp_path / "saved")
    again = load_checkpoint(tmp_path / "saved")
    assert_same(again, model)
    assert again.config.name_or_path == str(tmp_path / "saved")
    stock = MobileVlmForConditionalGeneration.from_pretrained(tmp_path / "saved")
    assert_same(stock, model)


@pytest.mark.parametrize("layout", ["one file of torch's", "parts of torch's", "safetensors parts"])
def test_weights_may_come_in_every_official_layout(
    checkpoint: Path, clip: Path, layout: str
) -> None:
    model = tiny_model()
    tensors = official_tensors(model)
    write_config(checkpoint, model)
    names = sorted(tensors)
    parts = [{n: tensors[n] for n in names[:20]}, {n: tensors[n] for n in names[20:]}]
    suffix, write = ("safetensors", save_file) if "safetensors" in layout else ("bin", torch.save)
    stem = "model" if suffix == "safetensors" else "pytorch_model"
    if layout == "one file of torch's":
        torch.save(tensors, checkpoint / "pytorch_model.bin")
    else:
        weight_map: dict[str, str] = {}
        for number, part in enumerate(parts, start=1):
            file = f"{stem}-0000{number}-of-00002.{suffix}"
            write(part, checkpoint / file)
            weight_map |= dict.fromkeys(part, file)
        index = checkpoint / f"{stem}.{suffix}.index.json"
        index.write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
    assert_same(load_checkpoint(checkpoint, vision_folder=clip), model)


@pytest.mark.parametrize("is_whole_clip", [True, False])
def test_a_tower_that_is_not_in_the_checkpoint_comes_from_clip(
    checkpoint: Path, tmp_path: Path, is_whole_clip: bool
) -> None:
    model = tiny_model()
    torch.manual_seed(1)
    tower = CLIPVisionModel(model.config.vision_config)
    tower.save_pretrained(tmp_path / "clip")
    if is_whole_clip:
        whole = {f"vision_model.{name}": tensor for name, tensor in tower.state_dict().items()}
        others = {"logit_scale": torch.ones(1), "text_model.final_layer_norm.bias": torch.ones(8)}
        save_file(whole | others, tmp_path / "clip" / "model.safetensors")
    model.vision_tower.load_state_dict(tower.state_dict(), strict=False)
    tensors = official_tensors(model)
    without = {name: tensor for name, tensor in tensors.items() if not name.startswith(TOWER)}
    write_official(checkpoint, model, without)
    loaded = load_checkpoint(checkpoint, vision_folder=tmp_path / "clip")
    assert_same(loaded, model)


def test_weights_are_cast_to_the_asked_precision(checkpoint: Path, clip: Path) -> None:
    model = tiny_model()
    tensors = {name: tensor.half() for name, tensor in official_tensors(model).items()}
    write_official(checkpoint, model, tensors)
    loaded = load_checkpoint(checkpoint, vision_folder=clip, dtype=torch.bfloat16)
    assert {parameter.dtype for parameter in loaded.parameters()} == {torch.bfloat16}
    head = loaded.language_model.lm_head.weight
    assert torch.equal(head, tensors["lm_head.weight"].to(torch.bfloat16))


def test_a_published_configuration_is_recognised(checkpoint: Path) -> None:
    with torch.device("meta"):
        model = MobileVlmForConditionalGeneration(named_config("v1_3b"))
    write_config(checkpoint, model, mm_hidden_size=1024, max_position_embeddings=2048)
    found, expected = official_config(checkpoint).to_dict(), named_config("v1_3b")
    assert found == expected.to_dict()


@pytest.mark.parametrize(
    ("name", "tensor", "message"),
    [
        ("lm_head.weight", None, r"1 missing: language_model.lm_head.weight; check"),
        ("model.extra.weight", torch.ones(1), r"1 unknown: model.extra.weight; check"),
        (
            "model.norm.weight",
            torch.ones(3),
            r"1 of another shape: language_model.model.norm.weight \(3,\) instead of \(64,\)",
        ),
    ],
)
def test_what_does_not_fit_is_named(
    checkpoint: Path, clip: Path, name: str, tensor: Tensor | None, message: str
) -> None:
    model = tiny_model()
    tensors = official_tensors(model)
    tensors.pop(name, None)
    if tensor is not None:
        tensors[name] = tensor
    write_official(checkpoint, model, tensors)
    with pytest.raises(ValueError, match=message):
        load_checkpoint(checkpoint, vision_folder=clip)


def test_the_projector_of_the_other_version_does_not_fit(checkpoint: Path, clip: Path) -> None:
    model = tiny_model("ldpnet")
    write_official(checkpoint, model, official_tensors(model))
    write_config(checkpoint, model, mm_projector_type="ldpnetv2")
    with pytest.raises(ValueError, match=r"\(ldpnetv2\), got 2 missing: projector.peg.bias, .*and"):
        load_checkpoint(checkpoint, vision_folder=clip)


def test_a_checkpoint_without_a_tower_asks_for_clip(checkpoint: Path) -> None:
    model = tiny_model()
    tensors = official_tensors(model)
    without = {name: tensor for name, tensor in tensors.items() if not name.startswith(TOWER)}
    write_official(checkpoint, model, without)
    write_config(checkpoint, model, mm_hidden_size=1024)
    with pytest.raises(
        ValueError, match=r"no vision tower, .*download openai/clip-vit-large-patch"
    ):
        load_checkpoint(checkpoint)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"mm_projector_type": "mlp2x_gelu"}, "'ldpnet' or 'ldpnetv2', got 'mlp2x_gelu'"),
        ({"mm_vision_select_feature": "cls_patch"}, "got 'cls_patch' and False"),
        ({"mm_use_im_start_end": True}, "got 'patch' and True"),
        ({"mm_hidden_size": 1024}, "width 1024, got 32; give the folder of the right one"),
    ],
)
def test_a_configuration_that_is_not_mobilevlms_is_refused(
    checkpoint: Path, clip: Path, changed: dict[str, object], message: str
) -> None:
    write_config(checkpoint, tiny_model(), **changed)
    with pytest.raises(ValueError, match=message):
        official_config(checkpoint, clip)


def test_another_models_folder_is_refused(checkpoint: Path) -> None:
    (checkpoint / "config.json").write_text('{"model_type": "llava"}')
    with pytest.raises(ValueError, match="got 'llava'; give the folder of a MobileVLM"):
        load_checkpoint(checkpoint)
    (checkpoint / "config.json").write_text('{"model_type": "mobilevlm"}')
    with pytest.raises(ValueError, match="got no vocab_size, hidden_size"):
        load_checkpoint(checkpoint)
