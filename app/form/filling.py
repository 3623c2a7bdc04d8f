"""Where a form's values can come from: a preset, an earlier run, YAML."""

from collections.abc import Callable, Mapping

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from rankscope.models.config import RunConfig
from rankscope.models.presets import preset
from rankscope.models.reading import ConfigError, read_config
from rankscope.storage.errors import StorageError
from rankscope.storage.runs import get_run, resolve_run


def config_from(engine: Engine, source: Mapping[str, object]) -> RunConfig | None:
    """The configuration that a source names; None for no source.

    Args:
        engine: The database, for ``clone``.
        source: One of ``{"preset": name}``, ``{"clone": run}`` and ``{"yaml": text}``, or empty.

    Raises:
        ConfigError: It gives no configuration: rule, value, remedy.
    """
    readers: dict[str, Callable[[str], RunConfig]] = {
        "preset": lambda name: preset(name).config,
        "clone": lambda run: _of_run(engine, run),
        "yaml": lambda text: read_config(text, "the YAML"),
    }
    for name, read in readers.items():
        if name in source:
            return read(str(source[name]))
    return None


def _of_run(engine: Engine, prefix: str) -> RunConfig:
    try:
        return get_run(engine, resolve_run(engine, prefix)).config
    except StorageError as error:
        raise ConfigError(f"a run to clone must be readable: {error}") from error
    except SQLAlchemyError as error:
        raise ConfigError(
            "a run to clone must be readable, the database does not answer; try again in a minute"
        ) from error
