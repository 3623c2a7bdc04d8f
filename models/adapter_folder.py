"""What a folder says of the PEFT adapter in it; read without torch, before anything is loaded."""

import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

CONFIG_NAME = "adapter_config.json"
TENSORS_NAME = "adapter_model.safetensors"
_MAX_HEADER_BYTES = 64 * 2**20
_MAX_CONFIG_BYTES = 2**20
_PREFIX, _A, _B = "base_model.model.", ".lora_A.weight", ".lora_B.weight"
_KINDS = frozenset({"embedded", "smol"})
"""What Rankscope writes as the name of a base model of which there is only one."""

Shape = tuple[int, int]
"""Rows and columns of a linear module's weight: d_out, d_in."""


class AdapterFolder(NamedTuple):
    """An adapter on disk.

    Args:
        base: What it calls its base model; "" where it says nothing.
        d_ins: By path of the module in the base model, columns of A.
        d_outs: Rows of B.
    """

    base: str
    d_ins: dict[str, int]
    d_outs: dict[str, int]


def read_adapter(folder: Path) -> AdapterFolder:
    """Read what an adapter sits on.

    Raises:
        ValueError: If it is no LoRA adapter in safetensors.
    """
    config_path, path = folder / CONFIG_NAME, folder / TENSORS_NAME
    for file in (config_path, path):
        if not file.is_file():
            raise ValueError(
                f"an adapter's folder must hold {CONFIG_NAME} and {TENSORS_NAME}, {folder} has no "
                f"{file.name}; save it with safetensors"
            )
    config = _config(config_path)
    if config.get("peft_type") != "LORA":
        raise ValueError(
            f"{config_path}: peft_type must be LORA, got {config.get('peft_type')!r}; "
            "evaluate another adapter"
        )
    shapes = _shapes(path)
    d_ins = {_module(name, _A): shape[1] for name, shape in shapes.items() if name.endswith(_A)}
    d_outs = {_module(name, _B): shape[0] for name, shape in shapes.items() if name.endswith(_B)}
    if not d_ins:
        raise ValueError(f"{path}: must hold LoRA's A and B of some module, got none; save it anew")
    return AdapterFolder(str(config.get("base_model_name_or_path") or ""), d_ins, d_outs)


def check_base(adapter: AdapterFolder, kind: str, called: str) -> None:
    """Refuse an adapter that says that it belongs to a model of another kind.

    Args:
        adapter: It.
        kind: Of the base model that it is to be put on.
        called: What messages call the adapter.

    Raises:
        ValueError: If it does.
    """
    if adapter.base in _KINDS and adapter.base != kind:
        raise ValueError(
            f"an adapter must be put on its own base model, {called} is of kind {adapter.base}, "
            f"got {kind}; give that model"
        )


def check_fits(adapter: AdapterFolder, modules: Mapping[str, Shape], called: str) -> None:
    """Refuse an adapter of modules that a base model does not have.

    Args:
        adapter: It.
        modules: Shapes of the base model's linear modules by path.
        called: What messages call the adapter.

    Raises:
        ValueError: If one is missing or of another size.
    """
    for name, d_in in adapter.d_ins.items():
        if name not in modules:
            raise ValueError(
                f"an adapter must be put on its own base model, {called} sits on {name}, which "
                "this one does not have; give the model that it was trained on"
            )
        expected = (adapter.d_outs.get(name), d_in)
        if expected != modules[name]:
            raise ValueError(
                f"an adapter must be put on its own base model, {called} has {name} as "
                f"{expected[0]} x {expected[1]}, this one as {modules[name][0]} x "
                f"{modules[name][1]}; give the model that it was trained on"
            )


def _config(path: Path) -> dict[str, object]:
    try:
        with path.open("rb") as file:
            config = json.loads(file.read(_MAX_CONFIG_BYTES))
    except (OSError, ValueError, RecursionError) as error:
        raise ValueError(f"{path}: must be JSON ({error}); save the adapter anew") from error
    if not isinstance(config, dict):
        raise ValueError(  # noqa: TRY004 - bad input, not a bad call
            f"{path}: must be a JSON object, got {type(config).__name__}; save the adapter anew"
        )
    return config


def _shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """Shapes in the header of a safetensors file: its length in 8 bytes, then JSON."""
    try:
        with path.open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            header = json.loads(file.read(min(length, _MAX_HEADER_BYTES)))
        return {
            name: tuple(int(size) for size in entry["shape"])
            for name, entry in header.items()
            if name != "__metadata__"
        }
    except (OSError, ValueError, struct.error, KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            f"{path}: must be a whole safetensors file ({error}); copy or save it anew"
        ) from error


def _module(name: str, end: str) -> str:
    return name.removeprefix(_PREFIX).removesuffix(end)
