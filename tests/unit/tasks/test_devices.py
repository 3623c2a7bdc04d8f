"""Which device a run gets, and one clear message where it is not there or cannot compute so."""

import pytest
import torch

from rankscope.models.reading import ConfigError, parse_config
from rankscope.models.training_settings import TrainingSettings
from rankscope.tasks.devices import device_for


def settings(device: str = "auto", precision: str = "fp32") -> TrainingSettings:
    return TrainingSettings.model_validate({"device": device, "precision": precision})


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_every_machine_trains_on_its_cpu(precision: str) -> None:
    assert device_for(settings("cpu", precision)) == torch.device("cpu")


@pytest.mark.skipif(torch.cuda.is_available(), reason="here a CUDA device is there")
@pytest.mark.parametrize("device", ["cuda", "cuda:1"])
def test_a_cuda_device_that_is_not_there_is_refused(device: str) -> None:
    assert device_for(settings()) == torch.device("cpu")
    with pytest.raises(ValueError, match=f"must be there, got {device} where .* sees cpu; set it"):
        device_for(settings(device))


@pytest.mark.skipif(torch.backends.mps.is_available(), reason="here an Apple chip is there")
def test_apples_chip_is_refused_elsewhere() -> None:
    with pytest.raises(ValueError, match="must be there, got mps"):
        device_for(settings("mps"))


def test_half_precision_without_cuda_is_refused() -> None:
    with pytest.raises(ValueError, match=r"fp16 must have a CUDA device.*got cpu; use bf16 or"):
        device_for(settings("cpu", "fp16"))


@pytest.mark.parametrize("device", ["gpu", "cuda:", "cuda:x", "CPU", "cuda:1234", "cpu:0"])
def test_an_unknown_device_is_refused_by_the_config(device: str) -> None:
    with pytest.raises(ConfigError, match=r"training\.device"):
        parse_config({"data": {"kind": "easy_vqa"}, "training": {"device": device}})
