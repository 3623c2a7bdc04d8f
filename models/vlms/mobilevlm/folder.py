"""Files of a checkpoint's folder, and nothing outside it."""

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

WEIGHTS = ("model.safetensors", "pytorch_model.bin")
"""What a folder's weights may be called, the one to be preferred first; in parts there is an index
of the same name with ``.index.json``."""


def file_in(folder: Path, name: str) -> Path:
    """The path of a file that lies in a folder.

    Raises:
        ValueError: If the name leads elsewhere, or there is no such file.
    """
    path = folder / name
    if Path(name).name != name or path.resolve().parent != folder.resolve():
        raise ValueError(
            f"files of a checkpoint must lie in its folder, got {name!r} in {folder}, which leads "
            "elsewhere; copy the files there (hf download --local-dir)"
        )
    if not path.is_file():
        raise ValueError(f"{folder} must hold {name}, got no such file; complete the download")
    return path


def read_json(folder: Path, name: str) -> dict[str, Any]:
    """An object from a JSON file of a folder.

    Raises:
        ValueError: If there is none, or it is broken.
    """
    path = file_in(folder, name)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ValueError(f"{path} must be JSON in UTF-8, got {error}; download it again") from error
    if not isinstance(content, dict):
        raise ValueError(  # noqa: TRY004 - bad input, not a bad call
            f"{path} must hold a JSON object, got {type(content).__name__}; download it again"
        )
    return content


def tensors_in(folder: Path) -> Iterator[tuple[str, Tensor]]:
    """Names and tensors of a folder's weights, shard by shard.

    Raises:
        ValueError: If there are none, a file is broken, or it holds anything but tensors.
    """
    for name in WEIGHTS:
        if (folder / f"{name}.index.json").exists():
            for shard in _shards(folder, f"{name}.index.json"):
                yield from tensors_of(file_in(folder, shard))
            return
        if (folder / name).exists():
            yield from tensors_of(file_in(folder, name))
            return
    raise ValueError(
        f"{folder} must hold {' or '.join(WEIGHTS)} or an index of their parts, got none; "
        "give the folder of a complete download"
    )


def tensors_of(path: Path) -> Iterator[tuple[str, Tensor]]:
    """Names and tensors of one file, safetensors or torch's.

    Raises:
        ValueError: If it is broken, or holds anything but tensors.
    """
    try:
        if path.suffix == ".safetensors":
            content = load_file(path)
        else:
            # Only files in torch's present format can be mapped instead of read.
            content = torch.load(
                path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path)
            )
    except Exception as error:  # torch's reader of pickles raises anything on broken files
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ValueError(
            f"{path} must hold tensors and nothing else, got a file that cannot be read "
            f"({reason}); download it again"
        ) from error
    if not isinstance(content, dict):
        raise ValueError(  # noqa: TRY004 - bad input, not a bad call
            f"{path} must hold tensors by name, got {type(content).__name__}; download it again"
        )
    for name, tensor in content.items():
        if not isinstance(tensor, Tensor):
            raise ValueError(  # noqa: TRY004 - bad input, not a bad call
                f"{path} must hold tensors and nothing else, got {type(tensor).__name__} as "
                f"{name!r}; give the weights' own file"
            )
        yield str(name), tensor


def _shards(folder: Path, index_name: str) -> list[str]:
    weight_map = read_json(folder, index_name).get("weight_map")
    if not isinstance(weight_map, dict) or not all(isinstance(v, str) for v in weight_map.values()):
        raise ValueError(
            f"{folder / index_name} must tell the file of every tensor under 'weight_map', got "
            f"{type(weight_map).__name__}; download it again"
        )
    return sorted(set(weight_map.values()))
