"""Where a model's files come from, and what is said when they do not."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from huggingface_hub import constants

from rankscope.models.vlms.hub.settings import HubVlm
from rankscope.models.vlms.hub.sources import folder_of
from tests.unit.models.vlms.hub.tiny_hub import COMMIT, GATED, MODEL, PRIVATE, TinyHub, hub_of


@pytest.fixture
def folder(tiny_folder: Callable[[str], Path], tmp_path: Path) -> Path:
    """A copy of a checkpoint to be damaged."""
    return shutil.copytree(tiny_folder("qwen2_vl"), tmp_path / "model")


@pytest.fixture
def hub(tiny_folder: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch) -> Iterator[TinyHub]:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    with hub_of(tiny_folder("qwen2_vl")) as running:
        yield running


def local(folder: Path, **changes: str) -> Path:
    settings = HubVlm.model_validate({"source": str(folder), **changes})
    return folder_of(settings, with_weights=True)


def remote(
    hub: TinyHub, cache: Path, source: str = MODEL, *, with_weights: bool = True, **changes: str
) -> Path:
    settings = HubVlm.model_validate({"source": source, **changes})
    return folder_of(settings, with_weights=with_weights, endpoint=hub.endpoint, cache_dir=cache)


def test_a_folder_is_taken_as_it_is(folder: Path) -> None:
    assert local(folder) == folder


def test_a_model_on_the_hub_is_downloaded_once(hub: TinyHub, tmp_path: Path) -> None:
    found = remote(hub, tmp_path)
    assert found.name == COMMIT
    assert {path.name for path in found.iterdir()} == set(hub.served)
    assert "model.safetensors" in hub.served
    num_served = len(hub.served)
    assert remote(hub, tmp_path, revision="main") == found
    assert len(hub.served) == num_served


def test_an_inventory_downloads_no_weights(hub: TinyHub, tmp_path: Path) -> None:
    remote(hub, tmp_path, with_weights=False)
    assert "config.json" in hub.served
    assert "model.safetensors" not in hub.served


def test_neither_pickles_nor_code_are_downloaded(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    (folder / "modeling_own.py").write_text("raise SystemExit")
    torch.save({}, folder / "pytorch_model.bin")
    with hub_of(folder) as hub:
        remote(hub, tmp_path / "cache")
        assert not {"modeling_own.py", "pytorch_model.bin"} & set(hub.served)


def test_what_was_downloaded_is_found_offline(
    hub: TinyHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = remote(hub, tmp_path)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert remote(hub, tmp_path) == found


def test_without_its_weights_a_model_is_not_found_offline(
    hub: TinyHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    remote(hub, tmp_path, with_weights=False)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert remote(hub, tmp_path, with_weights=False).name == COMMIT
    with pytest.raises(ValueError, match=r"must be on this machine or the hub within reach, got"):
        remote(hub, tmp_path)


def test_an_offline_machine_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(ValueError, match=r"got 'a/b' .*hf download a/b.*HF_HUB_OFFLINE"):
        folder_of(HubVlm(source="a/b"), with_weights=True, cache_dir=tmp_path)


def test_an_unreachable_hub_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    closed = "http://127.0.0.1:9"  # the discard service, which nothing offers any more
    with pytest.raises(ValueError, match=r"the hub within reach, got 'a/b' with neither"):
        folder_of(HubVlm(source="a/b"), with_weights=True, endpoint=closed, cache_dir=tmp_path)


def test_a_gated_model_is_told_from_an_unknown_one(hub: TinyHub, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=rf"granted .* got '{GATED}'; accept its terms on"):
        remote(hub, tmp_path, GATED)
    with pytest.raises(ValueError, match=rf"got '{PRIVATE}', which is neither or private; check"):
        remote(hub, tmp_path, PRIVATE)


def test_an_unknown_revision_is_told(hub: TinyHub, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=rf"tag or commit of '{MODEL}', got 'v9'; look it up"):
        remote(hub, tmp_path, revision="v9")


@pytest.mark.parametrize("source", ["no such model", "a/b/c", "a//b", "-"])
def test_what_is_no_id_is_told(source: str) -> None:
    with pytest.raises(ValueError, match=r"hub id \(owner/name\) or an existing folder, got"):
        folder_of(HubVlm(source=source), with_weights=True)


@pytest.mark.parametrize("source", ["/no/such/folder", "./none", "~/no-such-folder"])
def test_a_path_that_leads_nowhere_is_told(source: str) -> None:
    with pytest.raises(ValueError, match=r"hub id or an existing folder, got '.*'; check the"):
        folder_of(HubVlm(source=source), with_weights=True)


def test_a_folder_without_a_configuration_is_refused(folder: Path) -> None:
    (folder / "config.json").unlink()
    with pytest.raises(ValueError, match=r"must come with config.json, got none in .*ending in"):
        local(folder)


def test_a_folder_has_no_revisions(folder: Path) -> None:
    with pytest.raises(ValueError, match=r"no revisions, got revision='main' for .*; leave it out"):
        local(folder, revision="main")


def test_an_adapter_is_no_base_model(folder: Path) -> None:
    (folder / "adapter_config.json").write_text('{"base_model_name_or_path": "elsewhere/else"}')
    with pytest.raises(ValueError, match=r"must be a base model, got .* with an adapter"):
        local(folder)


def test_pickled_weights_are_not_taken(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    torch.save({}, folder / "pytorch_model.bin")
    with pytest.raises(ValueError, match=r"must be safetensors, got no model.safetensors in"):
        local(folder)


def test_every_part_of_the_weights_must_be_there(folder: Path) -> None:
    index = {"weight_map": {"a": "model-1-of-2.safetensors", "b": "model-2-of-2.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    (folder / "model.safetensors").rename(folder / "model-1-of-2.safetensors")
    with pytest.raises(ValueError, match=r"got no model-2-of-2.safetensors in .*; complete the"):
        local(folder)


@pytest.mark.parametrize("weight_map", [{}, None, {"a": "../../other.safetensors"}, {"a": "b.bin"}])
def test_an_index_must_name_safetensors_beside_it(folder: Path, weight_map: object) -> None:
    index = json.dumps({"weight_map": weight_map})
    (folder / "model.safetensors.index.json").write_text(index)
    with pytest.raises(ValueError, match=r"must name safetensors beside it under 'weight_map'"):
        local(folder)


def test_files_must_not_lead_out_of_the_folder(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere.json").write_text("{}")
    (folder / "tokenizer.json").unlink()
    (folder / "tokenizer.json").symlink_to(tmp_path / "elsewhere.json")
    with pytest.raises(ValueError, match=r"must lie in its folder, got .*tokenizer.json, which"):
        local(folder)
