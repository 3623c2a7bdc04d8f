"""What a checkpoint's folder may hold."""

import json
from pathlib import Path

import pytest
import torch

from rankscope.models.vlms.mobilevlm.folder import file_in, read_json, tensors_in


class Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return print, ("a pickle was run",)


def test_tensors_come_with_their_names(tmp_path: Path) -> None:
    torch.save({"a": torch.ones(2)}, tmp_path / "pytorch_model.bin")
    ((name, tensor),) = tensors_in(tmp_path)
    assert (name, tensor.tolist()) == ("a", [1.0, 1.0])


def test_torchs_older_files_are_read_too(tmp_path: Path) -> None:
    torch.save(
        {"a": torch.ones(2)},
        tmp_path / "pytorch_model.bin",
        _use_new_zipfile_serialization=False,
    )
    assert [name for name, _ in tensors_in(tmp_path)] == ["a"]


def test_a_pickle_is_never_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save({"a": Evil()}, tmp_path / "pytorch_model.bin")
    with pytest.raises(ValueError, match="must hold tensors and nothing else, got a file that"):
        list(tensors_in(tmp_path))
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin"])
def test_a_broken_file_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"broken")
    with pytest.raises(ValueError, match=f"{name} must hold tensors and nothing else"):
        list(tensors_in(tmp_path))


def test_anything_but_tensors_is_refused(tmp_path: Path) -> None:
    torch.save({"state_dict": {"a": torch.ones(1)}}, tmp_path / "pytorch_model.bin")
    with pytest.raises(ValueError, match="got dict as 'state_dict'; give the weights' own file"):
        list(tensors_in(tmp_path))
    torch.save([torch.ones(1)], tmp_path / "pytorch_model.bin")
    with pytest.raises(ValueError, match="must hold tensors by name, got list"):
        list(tensors_in(tmp_path))


@pytest.mark.parametrize("elsewhere", ["../other.bin", "/etc/passwd", "inner/part.bin"])
def test_an_index_cannot_lead_out_of_the_folder(tmp_path: Path, elsewhere: str) -> None:
    index = {"weight_map": {"a": elsewhere}}
    (tmp_path / "pytorch_model.bin.index.json").write_text(json.dumps(index))
    with pytest.raises(ValueError, match=r"must lie in its folder, got .* leads elsewhere"):
        list(tensors_in(tmp_path))


def test_a_link_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (tmp_path / "config.json").write_text("{}")
    (folder / "config.json").symlink_to(tmp_path / "config.json")
    with pytest.raises(ValueError, match="leads elsewhere; copy the files there"):
        read_json(folder, "config.json")


@pytest.mark.parametrize("weight_map", [None, ["a"], {"a": 1}])
def test_an_index_that_tells_no_files_is_refused(tmp_path: Path, weight_map: object) -> None:
    index = {"weight_map": weight_map}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(ValueError, match="must tell the file of every tensor"):
        list(tensors_in(tmp_path))


def test_a_part_that_is_missing_is_named(tmp_path: Path) -> None:
    index = {"weight_map": {"a": "part-1.safetensors"}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(ValueError, match=r"must hold part-1.safetensors, got no such file"):
        list(tensors_in(tmp_path))


def test_a_folder_without_weights_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"model.safetensors or pytorch_model.bin or an index"):
        list(tensors_in(tmp_path))


@pytest.mark.parametrize("content", [b"{", b"\xff\xfe", b"[1]"])
def test_broken_json_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "config.json").write_bytes(content)
    with pytest.raises(ValueError, match=r"config.json must .*; download it again"):
        read_json(tmp_path, "config.json")


def test_a_file_in_the_folder_is_found(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"a": 1}')
    assert file_in(tmp_path, "config.json") == tmp_path / "config.json"
    assert read_json(tmp_path, "config.json") == {"a": 1}
