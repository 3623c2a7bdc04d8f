"""The configurations that come with Rankscope: the YAML files of ``configs/``."""

from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import NamedTuple

from rankscope.models.config import RunConfig
from rankscope.models.reading import ConfigError, read_config


class Preset(NamedTuple):
    """A configuration by its name; ``description`` is the first comment of its file."""

    name: str
    description: str
    config: RunConfig


def presets() -> tuple[Preset, ...]:
    """All of them, by name."""
    found = sorted(file.name for file in _folder().iterdir() if file.name.endswith(".yaml"))
    return tuple(preset(name.removesuffix(".yaml")) for name in found)


def preset(name: str) -> Preset:
    """One of them.

    Raises:
        ConfigError: There is none of this name.
    """
    known = [file.name for file in _folder().iterdir()]
    if f"{name}.yaml" not in known:
        names = ", ".join(sorted(n.removesuffix(".yaml") for n in known if n.endswith(".yaml")))
        raise ConfigError(f"a preset must be one of {names}, got {name!r}; choose one")
    text = (_folder() / f"{name}.yaml").read_text(encoding="utf-8")
    first, *_ = text.splitlines()
    description = first.removeprefix("#").strip() if first.startswith("#") else ""
    return Preset(name, description, read_config(text, f"preset {name}"))


def _folder() -> Traversable:
    return files("rankscope") / "configs"
