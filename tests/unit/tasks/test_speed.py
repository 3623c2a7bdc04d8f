"""A training process measures its machine once."""

from pathlib import Path

import torch

from rankscope.models.reading import parse_config
from rankscope.storage.settings import Settings
from rankscope.storage.speeds import measured_speed
from rankscope.tasks import machine
from rankscope.tasks.speed import measure_once


def test_a_machine_is_measured_once_per_format_without_drawing_numbers(tmp_path: Path) -> None:
    settings = Settings(rankscope_home=tmp_path)
    before = torch.get_rng_state()
    raw = {"data": {"kind": "scenes"}, "training": {"device": "cpu"}}
    for _ in range(2):
        measure_once(settings, parse_config(raw))
    assert torch.equal(before, torch.get_rng_state())
    name = machine.training_device("cpu").name
    first = measured_speed(settings, name, "fp32", torch.get_num_threads())
    assert first is not None
    assert first.flops_per_s > 1e6
    assert 0 < first.call_s < 1
    assert measured_speed(settings, name, "bf16", 1) is None
    measure_once(settings, parse_config(raw))
    assert measured_speed(settings, name, "fp32", torch.get_num_threads()) == first
