"""Weights of the base model that are trained themselves: kept in float32, and saved by their names.

In bfloat16 a weight has eight bits: steps of a learning rate of 1e-3 and less are rounded away. So
what is trained is a float32 copy, and a base model of lower precision computes under autocast, in
training, evaluation and generation alike.
"""

import functools
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import PreTrainedModel

from rankscope.models.inventory import Part, place_of

FILE_NAME = "trained_weights.safetensors"
"""Beside an adapter, or by itself: weights under the base model's own names."""

_MAX_NAMES_SHOWN = 4

_Inputs = ParamSpec("_Inputs")
_Output = TypeVar("_Output")


def train_parts(model: nn.Module, parts: Collection[Part]) -> int:
    """Switch the own weights of whole parts on; returns how many they are."""
    switched = [
        parameter.requires_grad_(True)
        for name, parameter in model.named_parameters()
        if place_of(name)[0] in parts
    ]
    return sum(parameter.numel() for parameter in switched)


def trained_weights(model: nn.Module) -> dict[str, nn.Parameter]:
    """What is trained of a base model itself, whether or not adapters sit on it."""
    return {
        name.replace(".base_layer.", "."): parameter
        for name, parameter in model.named_parameters()
        if parameter.requires_grad and ".lora_" not in name
    }


def keep_precise(model: PreTrainedModel) -> None:
    """Turn what is trained into float32; the rest stays, and its precision is computed in."""
    dtype = _lowest(model)
    imprecise = [p for p in trained_weights(model).values() if p.dtype != torch.float32]
    for parameter in imprecise:
        parameter.data = parameter.data.float()
    if imprecise:
        _compute_in(model, dtype)


def save_trained(model: nn.Module, folder: Path) -> int:
    """Write :data:`FILE_NAME`, unless nothing of the base model is trained.

    Returns:
        Parameters written.
    """
    weights = {
        name: parameter.detach().cpu().contiguous().clone()
        for name, parameter in trained_weights(model).items()
    }
    if weights:
        folder.mkdir(parents=True, exist_ok=True)
        save_file(weights, folder / FILE_NAME, metadata={"format": "pt"})
    return sum(weight.numel() for weight in weights.values())


def load_trained(model: PreTrainedModel, folder: Path) -> None:
    """Put the weights of :func:`save_trained` into a base model, in float32, as they were trained.

    Nothing happens if ``folder`` holds none.

    Raises:
        ValueError: If the file cannot be read or is of another model.
    """
    path = folder / FILE_NAME
    if not path.is_file():
        return
    try:
        weights = load_file(path)
    except (OSError, SafetensorError) as error:
        raise ValueError(
            f"{path} must be readable safetensors, got {error}; export the run again"
        ) from error
    known = dict(model.named_parameters())
    strange = [
        name
        for name, weight in weights.items()
        if name not in known or known[name].shape != weight.shape
    ]
    if strange:
        raise ValueError(
            f"{path} must hold weights of this very model, got {len(strange)} of other names or "
            f"shapes: {', '.join(sorted(strange)[:_MAX_NAMES_SHOWN])}; load it onto the model "
            "that the run began with"
        )
    dtype = _lowest(model)
    for name, weight in weights.items():
        known[name].data = weight.to(known[name].device)
    if dtype != torch.float32:
        _compute_in(model, dtype)


def _lowest(model: nn.Module) -> torch.dtype:
    """The number format of the base model: that of its least precise parameters."""
    dtypes = {
        parameter.dtype
        for name, parameter in model.named_parameters()
        if parameter.is_floating_point() and ".lora_" not in name
    }
    return min(dtypes, key=lambda dtype: dtype.itemsize)


def _compute_in(model: Any, dtype: torch.dtype) -> None:  # noqa: ANN401 - methods are replaced
    """Let every pass through the model, whoever asks for it, be under autocast.

    ``generate`` too, which asks towers for the features of pictures itself, without ``forward``.
    Embedded words get the number format of the model's first parameter, because SmolVLM gives it to
    the features of pictures that take their places; others ask the words for theirs.
    """
    device = model.device.type
    model.get_input_embeddings().register_forward_hook(
        lambda _module, _inputs, embeds_BLE: embeds_BLE.to(model.dtype)
    )
    model.forward = _under_autocast(model.forward, device, dtype)
    model.generate = _under_autocast(model.generate, device, dtype)


def _under_autocast(
    forward: Callable[_Inputs, _Output], device_type: str, dtype: torch.dtype
) -> Callable[_Inputs, _Output]:
    @functools.wraps(forward)  # generate reads the signature
    def wrapped(*args: _Inputs.args, **kwargs: _Inputs.kwargs) -> _Output:
        with torch.autocast(device_type, dtype):
            return forward(*args, **kwargs)

    return wrapped
