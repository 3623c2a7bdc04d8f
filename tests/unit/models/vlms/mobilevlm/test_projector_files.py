"""Stage I begins with MobileLLaMA, CLIP and a new projector; stage II takes the projector over."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from rankscope.models.full_parts import FILE_NAME
from rankscope.models.roots import Roots
from rankscope.models.vlms import MobileVlm
from rankscope.models.vlms.loading import load_vlm
from rankscope.models.vlms.mobilevlm.checkpoints import load_checkpoint
from rankscope.models.vlms.mobilevlm.modeling import MobileVlmForConditionalGeneration
from rankscope.models.vlms.mobilevlm.sizes import ProjectorKind
from tests.unit.models.vlms.mobilevlm.official import (
    official_tensors,
    save_tensors,
    write_llama_and_clip,
)
from tests.unit.models.vlms.mobilevlm.tiny import tiny_model

Model = MobileVlmForConditionalGeneration
KINDS: tuple[ProjectorKind, ...] = ("ldpnet", "ldpnetv2")


def projector_of(model: Model) -> dict[str, Tensor]:
    return {k: t for k, t in model.state_dict().items() if k.startswith("projector.")}


@pytest.mark.parametrize("kind", KINDS)
def test_a_new_projector_joins_what_is_published_and_is_the_same_at_every_loading(
    tmp_path: Path, kind: ProjectorKind
) -> None:
    model = tiny_model(kind)
    llama, clip = write_llama_and_clip(tmp_path, model)
    torch.manual_seed(5)
    before = torch.get_rng_state()
    loaded = load_checkpoint(llama, vision_folder=clip, new_projector=kind)
    assert torch.equal(torch.get_rng_state(), before)
    again = load_checkpoint(llama, vision_folder=clip, new_projector=kind).state_dict()
    for name, tensor in loaded.state_dict().items():
        assert torch.equal(again[name], tensor)
        is_new = name.startswith("projector.")
        assert is_new or torch.equal(tensor, model.state_dict()[name]), name
    weight = loaded.get_parameter("projector.linear_1.weight")
    # uniform in +-1 / sqrt(inputs), PyTorch's own start
    assert weight.abs().max() <= 32**-0.5
    assert float(weight.detach().std()) == pytest.approx(32**-0.5 / 3**0.5, rel=0.1)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("is_official", [False, True], ids=["exported here", "official file"])
def test_a_trained_projector_is_taken_over(
    tmp_path: Path, kind: ProjectorKind, is_official: bool
) -> None:
    model = tiny_model(kind)
    llama, clip = write_llama_and_clip(tmp_path, model)
    folder = tmp_path / "stage_one"
    folder.mkdir()
    if is_official:
        official = {k: t for k, t in official_tensors(model).items() if "mm_projector" in k}
        torch.save(official, folder / "mm_projector.bin")
    else:
        save_tensors(folder, projector_of(model), FILE_NAME)
    loaded = load_checkpoint(llama, vision_folder=clip, projector_folder=folder, new_projector=kind)
    assert all(torch.equal(t, model.state_dict()[k]) for k, t in loaded.state_dict().items())


def test_a_projector_of_another_size_or_none_at_all_is_refused(tmp_path: Path) -> None:
    llama, clip = write_llama_and_clip(tmp_path, tiny_model("ldpnet"))
    folder = tmp_path / "stage_one"
    save_tensors(folder, projector_of(tiny_model("ldpnet")), FILE_NAME)
    with pytest.raises(ValueError, match=r"unknown: projector\.block_1"):
        load_checkpoint(
            llama, vision_folder=clip, projector_folder=folder, new_projector="ldpnetv2"
        )
    save_tensors(folder, {"language_model.lm_head.weight": torch.zeros(1)}, FILE_NAME)
    with pytest.raises(ValueError, match="must hold a projector, got none among 1 tensors"):
        load_checkpoint(llama, vision_folder=clip, projector_folder=folder)
    (folder / FILE_NAME).unlink()
    with pytest.raises(ValueError, match=r"must hold mm_projector\.bin"):
        load_checkpoint(llama, vision_folder=clip, projector_folder=folder)


def test_the_projectors_folder_lies_below_the_models_root(tmp_path: Path) -> None:
    models = tmp_path / "models"
    models.mkdir()
    write_llama_and_clip(models, tiny_model())
    save_tensors(tmp_path / "outside", projector_of(tiny_model()), FILE_NAME)
    settings = MobileVlm(folder="llama", vision_folder="clip", projector_folder="../outside")
    with pytest.raises(ValueError, match="must lie below the models root"):
        load_vlm(settings, torch.device("cpu"), Roots(tmp_path, models, tmp_path))
