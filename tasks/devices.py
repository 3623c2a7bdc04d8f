"""Which device a training process computes on, and in which precision it can."""

import torch

from rankscope.models.training_settings import TrainingSettings


def device_for(settings: TrainingSettings) -> torch.device:
    """The device that a run asks for, in a process that sees that one only.

    ``processes.environment`` leaves a process one CUDA device, which is its ``cuda:0`` whatever its
    number on the machine is: transformers would spread a run over all it sees.

    Raises:
        ValueError: It is not there, or cannot compute in the run's precision.
    """
    device = torch.device(_kind(settings.device))
    is_there = {
        "cpu": True,
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
    }
    if not is_there[device.type]:
        offered = ", ".join(kind for kind, there in is_there.items() if there)
        raise ValueError(
            f"training.device must be there, got {settings.device} where the process sees "
            f"{offered}; set it to auto, or run it on a machine that has it"
        )
    if settings.precision == "fp16" and device.type != "cuda":
        raise ValueError(
            "training.precision fp16 must have a CUDA device, whose small gradients it scales, got "
            f"{device.type}; use bf16 or fp32"
        )
    if (
        settings.precision == "bf16"
        and device.type == "cuda"
        and not torch.cuda.is_bf16_supported()
    ):
        raise ValueError(
            "training.precision bf16 must have a CUDA device that computes in it, got "
            f"{torch.cuda.get_device_name()}; use fp16 or fp32"
        )
    return device


def _kind(name: str) -> str:
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    return name.partition(":")[0]
