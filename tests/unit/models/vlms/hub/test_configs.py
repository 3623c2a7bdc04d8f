"""Configurations that cannot be used."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rankscope.models.vlms.hub.configs import max_context_tokens, read_config


def written(folder: Path, content: object) -> Path:
    folder.mkdir(exist_ok=True)
    text = content if isinstance(content, str) else json.dumps(content)
    (folder / "config.json").write_text(text, encoding="utf-8")
    return folder


def test_the_context_is_the_language_models(tiny_folder: Callable[[str], Path]) -> None:
    config = read_config(tiny_folder("idefics3"), allow_remote_code=False)
    assert max_context_tokens(config) == 4096


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", r"must be JSON in UTF-8, got"),
        ([], r"must hold a JSON object, got list"),
        ({}, r"model_type that transformers knows, got None; give a model in the format"),
        ({"model_type": "unheard_of"}, r"that transformers knows, got 'unheard_of'"),
        ({"model_type": "llama"}, r"take pictures and text .* got model_type 'llama'; give a vis"),
        ({"model_type": "clip"}, r"take pictures and text .* got model_type 'clip'"),
        (
            {"model_type": "florence2"},
            r"decoder only\), got model_type 'florence2', an encoder and",
        ),
        ({"model_type": "llava", "text_config": {"vocab_size": "many"}}, r"must describe a model"),
    ],
)
def test_what_cannot_be_used_is_told(content: object, message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        read_config(written(tmp_path, content), allow_remote_code=False)


OWN: dict[str, Any] = {
    "model_type": "own_vlm",
    "auto_map": {
        "AutoConfig": "configuration_own.OwnConfig",
        "AutoModelForImageTextToText": "modeling_own.OwnModel",
    },
}


def test_a_models_own_code_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        ValueError, match=r"code is not run unless the operator .* got model_type 'own_vlm' in"
    ):
        read_config(written(tmp_path, OWN), allow_remote_code=False)


def test_own_code_for_another_purpose_does_not_help(tmp_path: Path) -> None:
    other = OWN | {"auto_map": {"AutoModelForCausalLM": "modeling_own.OwnModel"}}
    with pytest.raises(ValueError, match=r"own code must offer AutoModelForImageTextToText, got"):
        read_config(written(tmp_path, other), allow_remote_code=True)


def test_own_code_of_a_known_architecture_is_not_needed(
    tiny_folder: Callable[[str], Path], tmp_path: Path
) -> None:
    """Many published models keep the code that they had before transformers knew them."""
    known = json.loads((tiny_folder("llava") / "config.json").read_text())
    config = read_config(
        written(tmp_path, known | {"auto_map": OWN["auto_map"]}), allow_remote_code=False
    )
    assert type(config).__module__.startswith("transformers.")


def test_own_code_runs_where_the_operator_allows_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("transformers.dynamic_module_utils.HF_MODULES_CACHE", str(tmp_path / "m"))
    monkeypatch.syspath_prepend(str(tmp_path / "m"))
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "configuration_own.py").write_text(
        "from transformers import PretrainedConfig\n"
        "class OwnConfig(PretrainedConfig):\n"
        "    model_type = 'own_vlm'\n"
    )
    config = read_config(written(tmp_path / "own", OWN), allow_remote_code=True)
    assert type(config).__name__ == "OwnConfig"
