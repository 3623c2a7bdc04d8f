"""Ranks out of peft's AdaLoRA folders, whole ones and broken ones."""

import json
from pathlib import Path
from typing import Any

import pytest

from rankscope.models.adalora_checkpoint import CONFIG, PICKLED, WEIGHTS, read_adalora
from rankscope.models.reading import ConfigError

Q0, UP1 = "model.layers.0.self_attn.q_proj", "model.layers.1.mlp.up_proj"
SETTINGS = {"peft_type": "ADALORA", "init_r": 4, "target_r": 2, "total_step": 8}
PATTERN = {f"{Q0}.lora_E": [True, False, True, False], f"{UP1}.lora_E": [False] * 4}


def weights(shapes: dict[str, list[int]]) -> bytes:
    """A safetensors file: length of the header, header, data that nobody reads."""
    header = {
        key: {"dtype": "F32", "shape": shape, "data_offsets": [0, 0]}
        for key, shape in shapes.items()
    }
    content = json.dumps({"__metadata__": {"format": "pt"}} | header).encode()
    return len(content).to_bytes(8, "little") + content


def factors(name: str, rank: int, d_in: int = 16, d_out: int = 16) -> dict[str, list[int]]:
    shapes = {"lora_A": [rank, d_in], "lora_B": [d_out, rank], "lora_E": [rank, 1]}
    return {f"base_model.model.{name}.{key}": shape for key, shape in shapes.items()}


WHOLE = factors(Q0, 2) | factors(UP1, 0, d_out=24)


def write(folder: Path, config: object, tensors: bytes | None) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / CONFIG).write_text(config if isinstance(config, str) else json.dumps(config))
    if tensors is not None:
        (folder / WEIGHTS).write_bytes(tensors)
    return folder


def test_pruned_triplets_are_counted_out_and_places_told_by_names(tmp_path: Path) -> None:
    folder = write(tmp_path, SETTINGS | {"rank_pattern": PATTERN}, weights(WHOLE))
    checkpoint = read_adalora(folder)
    assert checkpoint.ranks == {Q0: 2, UP1: 0}
    q_proj, up_proj = checkpoint.inventory.modules
    assert (q_proj.layer, q_proj.type, up_proj.layer, up_proj.d_out) == (0, "q_proj", 1, 24)
    scheduler = checkpoint.settings.scheduler()
    assert scheduler is not None
    assert scheduler.init_rank_factor == 2.0


@pytest.mark.parametrize(
    "pattern",
    [
        {Q0: 2, UP1: 0},
        {f"base_model.model.{Q0}.lora_E.default": [1, 1, 0, 0], f"{UP1}.lora_E": 0},
        {f"{Q0}.lora_E": [True, True]},  # a module that is not named is as it is stored
    ],
)
def test_patterns_may_be_numbers_and_names_with_or_without_peft(
    pattern: dict[str, Any], tmp_path: Path
) -> None:
    folder = write(tmp_path, SETTINGS | {"rank_pattern": pattern}, weights(WHOLE))
    assert read_adalora(folder).ranks == {Q0: 2, UP1: 0}


def test_weights_that_still_hold_the_pruned_triplets_are_read_by_the_pattern(
    tmp_path: Path,
) -> None:
    unpruned = factors(Q0, 4) | factors(UP1, 4)
    folder = write(tmp_path, SETTINGS | {"rank_pattern": PATTERN}, weights(unpruned))
    assert read_adalora(folder).ranks == {Q0: 2, UP1: 0}


WITH_PATTERN = SETTINGS | {"rank_pattern": PATTERN}


@pytest.mark.parametrize(
    ("config", "tensors", "message"),
    [
        ("{", weights(WHOLE), "adapter_config.json must be JSON"),
        ("[]", weights(WHOLE), "must be a mapping"),
        (WITH_PATTERN | {"peft_type": "LORA"}, weights(WHOLE), "must be ADALORA, .* says 'LORA'"),
        (SETTINGS | {"rank_pattern": None}, weights(WHOLE), "nothing was pruned yet"),
        (SETTINGS, weights(WHOLE), "rank_pattern must be in"),
        (WITH_PATTERN | {"init_r": 0}, weights(WHOLE), "its init_r is not"),
        (SETTINGS | {"rank_pattern": {Q0: "x"}}, weights(WHOLE), r"its rank_pattern\."),
        (WITH_PATTERN, None, "the weights must be adapter_model.safetensors, got none"),
        (WITH_PATTERN, b"\xff" * 8, "must be a whole safetensors file"),
        (WITH_PATTERN, weights(WHOLE)[:-1], "must be a whole safetensors file"),
        (WITH_PATTERN, (3).to_bytes(8, "little") + b"{x}", "safetensors must be JSON"),
        (WITH_PATTERN, (9).to_bytes(8, "little") + b'{"a":"b"}', "must list shapes"),
        (WITH_PATTERN, weights({"lm_head.weight": [4, 4]}), "must hold LoRA tensors"),
        (WITH_PATTERN, weights(WHOLE | {f"base_model.model.{Q0}.lora_A": [3, 16]}), "got shapes"),
        (WITH_PATTERN, weights(factors(Q0, 2)), f"got '{UP1}'"),
        (WITH_PATTERN, weights(factors(Q0, 1) | factors(UP1, 0)), "keeps 2 where .* holds 1"),
    ],
)
def test_what_is_no_such_checkpoint_is_refused_in_one_line(
    config: object, tensors: bytes | None, message: str, tmp_path: Path
) -> None:
    folder = write(tmp_path, config, tensors)
    with pytest.raises(ConfigError, match=message) as refused:
        read_adalora(folder)
    assert "\n" not in str(refused.value)


def test_pickled_weights_are_never_opened(tmp_path: Path) -> None:
    folder = write(tmp_path, WITH_PATTERN, None)
    (folder / PICKLED).write_bytes(b"whatever")
    with pytest.raises(ConfigError, match=r"got adapter_model\.bin, which may run code when read"):
        read_adalora(folder)


def test_a_folder_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"FOLDER must hold adapter_config\.json"):
        read_adalora(tmp_path / "nothing")
