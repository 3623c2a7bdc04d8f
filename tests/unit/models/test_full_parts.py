"""What is trained of a base model itself stays in float32, and is saved under its own names."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from torch import nn

from rankscope.models.full_parts import (
    FILE_NAME,
    keep_precise,
    load_trained,
    save_trained,
    train_parts,
    trained_weights,
)
from rankscope.models.vlms.mobilevlm.modeling import MobileVlmForConditionalGeneration
from rankscope.models.vlms.mobilevlm.sizes import ProjectorKind
from tests.unit.models.vlms.mobilevlm.tiny import tiny_batch, tiny_model

Model = MobileVlmForConditionalGeneration
LOW = torch.bfloat16
KINDS: tuple[ProjectorKind, ...] = ("ldpnet", "ldpnetv2")


def frozen(kind: ProjectorKind = "ldpnetv2", dtype: torch.dtype = LOW) -> Model:
    model = tiny_model(kind)
    nn.Module.to(model, dtype)
    model.requires_grad_(requires_grad=False)
    return model


def trained(kind: ProjectorKind = "ldpnetv2", dtype: torch.dtype = LOW) -> Model:
    """The projector two steps of a rate far below bfloat16's resolution on."""
    model = frozen(kind, dtype)
    train_parts(model, {"projector"})
    keep_precise(model)
    optimizer = torch.optim.AdamW(trained_weights(model).values(), lr=1e-5, weight_decay=0.0)
    for _ in range(2):
        optimizer.zero_grad()
        model(**tiny_batch()).loss.backward()
        optimizer.step()
    return model


@pytest.mark.parametrize("kind", KINDS)
def test_a_part_of_a_low_precision_model_learns_in_float32(kind: ProjectorKind) -> None:
    before = {name: p.detach().clone() for name, p in frozen(kind).named_parameters()}
    model = trained(kind)
    for name, parameter in model.named_parameters():
        if name.startswith("projector."):
            assert parameter.dtype == torch.float32
            assert not torch.equal(parameter, before[name].float()), name
        else:
            assert parameter.dtype == LOW
            assert torch.equal(parameter, before[name])


def test_in_bfloat16_the_same_steps_would_be_rounded_away() -> None:
    """Why there is a float32 copy at all."""
    model = frozen()
    train_parts(model, {"projector"})
    weight = model.get_parameter("projector.linear_2.weight")
    before = weight.detach().clone()
    optimizer = torch.optim.AdamW([weight], lr=1e-5, weight_decay=0.0)
    model(**tiny_batch()).loss.backward()
    optimizer.step()
    unmoved = (weight == before).float().mean()
    assert unmoved > 0.9


@pytest.mark.parametrize("kind", KINDS)
def test_generation_and_evaluation_work_with_both_precisions_in_one_model(
    kind: ProjectorKind,
) -> None:
    model = trained(kind)
    generating: Any = model
    prompt = {key: value[:1, :6] for key, value in tiny_batch().items() if key != "labels"}
    prompt["pixel_values"] = tiny_batch()["pixel_values"][:1]
    with torch.no_grad():
        output = generating.generate(**prompt, max_new_tokens=2, min_new_tokens=2)
        logits = model(**tiny_batch()).logits
    assert output.shape == (1, 8)
    assert logits.dtype == LOW
    assert logits.isfinite().all()


@pytest.mark.parametrize("dtype", [torch.float32, LOW])
def test_saved_weights_loaded_onto_the_base_model_compute_the_same(
    tmp_path: Path, dtype: torch.dtype
) -> None:
    model = trained(dtype=dtype)
    num_saved = save_trained(model, tmp_path)
    written = load_file(tmp_path / FILE_NAME)
    assert written.keys() == {name for name, _ in model.named_parameters() if "projector" in name}
    assert num_saved == sum(weight.numel() for weight in written.values())
    fresh = frozen(dtype=dtype)
    load_trained(fresh, tmp_path)
    with torch.no_grad():
        assert torch.equal(fresh(**tiny_batch()).logits, model(**tiny_batch()).logits)


def test_anyone_can_load_them_with_transformers_alone(tmp_path: Path) -> None:
    model = trained(dtype=torch.float32)
    save_trained(model, tmp_path)
    fresh = frozen(dtype=torch.float32)
    fresh.load_state_dict(load_file(tmp_path / FILE_NAME), strict=False)
    with torch.no_grad():
        assert torch.equal(fresh(**tiny_batch()).logits, model(**tiny_batch()).logits)


def test_adapters_are_not_among_them(tmp_path: Path) -> None:
    model = frozen()
    get_peft_model(model, LoraConfig(r=2, target_modules=["q_proj"]))
    assert trained_weights(model) == {}
    assert save_trained(model, tmp_path / "none") == 0
    assert not (tmp_path / "none").exists()
    fresh = frozen()
    load_trained(fresh, tmp_path)  # there are none to be loaded
    assert all(parameter.dtype == LOW for parameter in fresh.parameters())


def _shortened(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:50])


def _renamed(path: Path) -> None:
    save_file({"projector.other": torch.zeros(2)}, path)


def _reshaped(path: Path) -> None:
    save_file({"projector.linear_1.weight": torch.zeros(2)}, path)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (_shortened, "must be readable safetensors"),
        (_renamed, "1 of other names or shapes: projector.other; load it onto the model"),
        (_reshaped, "1 of other names or shapes: projector.linear_1.weight"),
    ],
)
def test_weights_of_another_model_are_refused(
    tmp_path: Path, spoil: Callable[[Path], None], message: str
) -> None:
    save_trained(trained(), tmp_path)
    spoil(tmp_path / FILE_NAME)
    with pytest.raises(ValueError, match=message):
        load_trained(frozen(), tmp_path)
