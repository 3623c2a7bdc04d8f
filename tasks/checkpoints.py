"""Training state on disk: everything a run needs to go on bitwise as if it had never stopped.

One folder per checkpoint, written beside its final name and renamed, so that a killed process never
leaves half a checkpoint. Tensors are safetensors, the rest is JSON: nothing in it can execute.
"""

import json
import os
import random
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, JsonValue
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from rankscope.models.cost.disk import CHECKPOINTS_KEPT
from rankscope.models.lora.saliency import ModuleSaliency
from rankscope.models.tuning import Tuning

FORMAT_VERSION = 1

CHECKPOINTS = "checkpoints"
"""Their folder within a run's."""

TENSORS_NAME = "tensors.safetensors"
STATE_NAME = "state.json"

Tensors = dict[str, torch.Tensor]


class CheckpointError(RuntimeError):
    """A checkpoint that cannot be used; the message says rule, value and remedy."""


class CheckpointState(BaseModel):
    """What a checkpoint holds beside its tensors."""

    model_config = ConfigDict(extra="forbid")

    version: int = FORMAT_VERSION
    config_hash: str
    step: int
    ranks: dict[str, int]
    num_threads: int
    lr_factors: dict[str, float]
    last_epoch: int
    memory: dict[str, JsonValue]
    saliency: dict[str, ModuleSaliency]
    scheduler_failure: str | None = None
    train_loss: float | None
    num_samples: int
    loss_scale: dict[str, int | float] = {}  # of fp16; others have none
    python_random: list[Any]
    numpy_random: dict[str, Any]


def write_checkpoint(
    folder: Path, state: CheckpointState, tensors: Tensors, texts: Mapping[str, str]
) -> int:
    """Write one checkpoint whole or not at all.

    Args:
        folder: Its final place.
        state: All but the tensors.
        tensors: By name; copied to the CPU.
        texts: Further files, content by file name.

    Returns:
        Its size in bytes.

    Raises:
        CheckpointError: For instance when the disk is full; nothing of the checkpoint remains.
    """
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        partial.mkdir(parents=True)
        # safetensors refuses views that share memory, and empty tensors may.
        plain = {
            name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()
        }
        save_file(plain, partial / TENSORS_NAME)
        (partial / STATE_NAME).write_text(state.model_dump_json(), encoding="utf-8")
        for name, text in texts.items():
            (partial / name).write_text(text, encoding="utf-8")
        for path in partial.iterdir():
            _sync(path)
        size_bytes = sum(path.stat().st_size for path in partial.iterdir())
        shutil.rmtree(folder, ignore_errors=True)
        partial.rename(folder)
        _sync(folder.parent)
    except (OSError, SafetensorError) as error:
        shutil.rmtree(partial, ignore_errors=True)
        raise CheckpointError(
            f"a checkpoint must be written whole, {folder.name} was not ({error}); "
            "free disk space and resume"
        ) from error
    return size_bytes


def read_checkpoint(folder: Path, config_hash: str) -> tuple[CheckpointState, Tensors]:
    """Read a checkpoint of the same configuration.

    Raises:
        CheckpointError: Another version, another configuration, or an unreadable file.
    """
    try:
        raw = json.loads((folder / STATE_NAME).read_text(encoding="utf-8"))
        version = raw.get("version") if isinstance(raw, dict) else None
        if version != FORMAT_VERSION:
            raise CheckpointError(
                f"a checkpoint must have format version {FORMAT_VERSION}, {folder.name} has "
                f"{version}; resume it with the release that wrote it"
            )
        state = CheckpointState.model_validate(raw)
        tensors = load_file(folder / TENSORS_NAME)
    except (OSError, ValueError, SafetensorError) as error:
        why = " ".join(str(error).split())
        raise CheckpointError(
            f"a checkpoint must be readable, {folder.name} is not ({why}); "
            "resume from an earlier one"
        ) from error
    if state.config_hash != config_hash:
        raise CheckpointError(
            f"a checkpoint belongs to one configuration, {folder.name} is of "
            f"{state.config_hash[:12]}, this run of {config_hash[:12]}; start a new run instead"
        )
    return state, tensors


def list_checkpoints(folder: Path) -> list[Path]:
    """The complete checkpoints of a run, oldest first."""
    return sorted(path for path in folder.glob("step-*") if (path / STATE_NAME).is_file())


def step_of(folder: Path) -> int:
    """The step that a checkpoint's folder is named by."""
    return int(folder.name.removeprefix("step-"))


def drop_old_checkpoints(folder: Path) -> None:
    """Keep the last ``CHECKPOINTS_KEPT`` checkpoints."""
    for path in list_checkpoints(folder)[:-CHECKPOINTS_KEPT]:
        shutil.rmtree(path)


def trained_tensors(tuning: Tuning) -> Tensors:
    """All that is trained: what the tuning owns and what is beside it, such as a projector."""
    own = {f"tuning/{name}": value for name, value in tuning.state().items()}
    return own | {f"other/{name}": value for name, value in _beside(tuning).items()}


def load_trained(tuning: Tuning, state: CheckpointState, tensors: Tensors) -> None:
    """Put back what :func:`trained_tensors` gave, shapes first."""
    tuning.load(state.ranks, under("tuning/", tensors))
    beside = _beside(tuning)
    with torch.no_grad():
        for name, value in under("other/", tensors).items():
            beside[name].copy_(value)


def under(prefix: str, tensors: Mapping[str, torch.Tensor]) -> Tensors:
    """The tensors whose names begin with ``prefix``, without it."""
    return {
        name.removeprefix(prefix): value
        for name, value in tensors.items()
        if name.startswith(prefix)
    }


def _beside(tuning: Tuning) -> dict[str, nn.Parameter]:
    own = tuning.modules_of_parameters().keys()
    return {
        name: parameter
        for name, parameter in tuning.model.named_parameters()
        if parameter.requires_grad and name not in own
    }


def random_states() -> tuple[list[Any], dict[str, Any], Tensors]:
    """The states of Python's, numpy's and torch's generators, ready for a checkpoint."""
    version, internal, gauss_next = random.getstate()
    kind, keys, position, has_gauss, cached = np.random.get_state()  # noqa: NPY002 - libraries draw from it
    numpy_state = {
        "kind": kind,
        "keys": np.asarray(keys).tolist(),
        "position": position,
        "has_gauss": has_gauss,
        "cached": cached,
    }
    tensors = {"random/cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        tensors["random/cuda"] = torch.cuda.get_rng_state()
    return [version, list(internal), gauss_next], numpy_state, tensors


def restore_random_states(state: CheckpointState, tensors: Tensors) -> None:
    """Put the generators back where :func:`random_states` saw them."""
    version, internal, gauss_next = state.python_random
    random.setstate((version, tuple(internal), gauss_next))
    saved = state.numpy_random
    keys = np.asarray(saved["keys"], dtype=np.uint32)
    legacy = (saved["kind"], keys, saved["position"], saved["has_gauss"], saved["cached"])
    np.random.set_state(legacy)  # noqa: NPY002 - libraries draw from it
    torch.set_rng_state(tensors["random/cpu"])
    if "random/cuda" in tensors and torch.cuda.is_available():
        torch.cuda.set_rng_state(tensors["random/cuda"])


def _sync(path: Path) -> None:
    """Ask the system to put a file or a folder's entries on disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
