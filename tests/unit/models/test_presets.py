"""The configurations that come with Rankscope."""

from pathlib import Path

import pytest

from rankscope.models.presets import preset, presets
from rankscope.models.reading import ConfigError, load_config

FILES = sorted((Path(__file__).parents[3] / "configs").glob("*.yaml"))


def test_every_file_in_configs_is_a_preset_with_a_description() -> None:
    assert [found.name for found in presets()] == [file.stem for file in FILES]
    for found, file in zip(presets(), FILES, strict=True):
        assert found.config == load_config(file)
        assert found.description
        assert "#" not in found.description


@pytest.mark.parametrize("name", ["nothing", "../pyproject", "demo.yaml", ""])
def test_an_unknown_preset_is_refused_with_the_known_ones(name: str) -> None:
    with pytest.raises(ConfigError, match="must be one of demo, easy_vqa"):
        preset(name)
