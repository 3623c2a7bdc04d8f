"""What a machine was measured to do, kept in a file."""

from pathlib import Path

import pytest

from rankscope.storage.settings import Settings
from rankscope.storage.speeds import MeasuredSpeed, measured_speed, remember_speed


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(rankscope_home=tmp_path / "home")


def speed(num_threads: int = 1, flops_per_s: float = 1e9, device: str = "A") -> MeasuredSpeed:
    return MeasuredSpeed(
        device=device,
        format="fp32",
        num_threads=num_threads,
        flops_per_s=flops_per_s,
        call_s=1e-6,
    )


def test_the_last_measurement_of_a_kind_counts(settings: Settings) -> None:
    assert measured_speed(settings, "A", "fp32", 1) is None
    for flops_per_s in (1e9, 3e9):
        remember_speed(settings, speed(flops_per_s=flops_per_s))
    remember_speed(settings, speed(device="B", flops_per_s=7e9))
    found = measured_speed(settings, "A", "fp32", 1)
    assert found is not None
    assert found.flops_per_s == 3e9
    assert measured_speed(settings, "A", "bf16", 1) is None


def test_the_nearest_number_of_threads_stands_for_another(settings: Settings) -> None:
    for num_threads in (1, 8):
        remember_speed(settings, speed(num_threads))
    found = measured_speed(settings, "A", "fp32", 6)
    assert found is not None
    assert found.num_threads == 8


@pytest.mark.parametrize("content", ["", "{", '{"a": 1}', '[{"device": "A"}]', "[1]", "3"])
def test_a_broken_file_is_as_good_as_none(settings: Settings, content: str) -> None:
    remember_speed(settings, speed())
    path = settings.roots.cache / "speeds.json"
    path.write_text(content, encoding="utf-8")
    assert measured_speed(settings, "A", "fp32", 1) is None
    remember_speed(settings, speed())
    assert measured_speed(settings, "A", "fp32", 1) is not None
    assert [one.name for one in settings.roots.cache.iterdir()] == [path.name]


def test_a_cache_that_cannot_be_written_is_no_reason_to_stop(settings: Settings) -> None:
    settings.rankscope_home.mkdir()
    settings.roots.cache.write_text("a file where the folder would be", encoding="utf-8")
    remember_speed(settings, speed())
    assert measured_speed(settings, "A", "fp32", 1) is None
