"""What can be told of an adapter before a model is loaded."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from rankscope.models.adapter_folder import check_base, check_fits, read_adapter

Q = "model.layers.0.q_proj"


def save(folder: Path, *, base: str = "embedded", d_in: int = 8, **config: object) -> Path:
    folder.mkdir(exist_ok=True)
    told = {"peft_type": "LORA", "base_model_name_or_path": base} | config
    (folder / "adapter_config.json").write_text(json.dumps(told))
    tensors = {
        f"base_model.model.{Q}.lora_A.weight": torch.zeros(2, d_in),
        f"base_model.model.{Q}.lora_B.weight": torch.zeros(6, 2),
    }
    save_file(tensors, folder / "adapter_model.safetensors")
    return folder


def test_modules_and_their_sizes_are_read_without_the_tensors(tmp_path: Path) -> None:
    found = read_adapter(save(tmp_path / "a"))
    assert found == ("embedded", {Q: 8}, {Q: 6})
    check_fits(found, {Q: (6, 8)}, "a")
    check_base(found, "embedded", "a")


def test_an_adapter_of_another_base_is_refused(tmp_path: Path) -> None:
    found = read_adapter(save(tmp_path / "a"))
    with pytest.raises(ValueError, match=r"a sits on model\.layers\.0\.q_proj, which this one"):
        check_fits(found, {"other": (6, 8)}, "a")
    with pytest.raises(ValueError, match="as 6 x 8, this one as 6 x 16"):
        check_fits(found, {Q: (6, 16)}, "a")
    with pytest.raises(ValueError, match="a is of kind embedded, got hub; give that model"):
        check_base(found, "hub", "a")


def test_what_is_no_lora_adapter_is_refused_with_its_file(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"none has no adapter_config.json; save it with safe"):
        read_adapter(tmp_path / "none")
    with pytest.raises(ValueError, match=r"peft_type must be LORA, got 'IA3'"):
        read_adapter(save(tmp_path / "b", peft_type="IA3"))
    broken = save(tmp_path / "c")
    (broken / "adapter_config.json").write_text("{")
    with pytest.raises(ValueError, match=r"adapter_config.json: must be JSON"):
        read_adapter(broken)
    cut = save(tmp_path / "d")
    (cut / "adapter_model.safetensors").write_bytes(b"\x10")
    with pytest.raises(ValueError, match="must be a whole safetensors file"):
        read_adapter(cut)
