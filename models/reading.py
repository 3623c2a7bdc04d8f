"""From YAML, overrides or a mapping to a configuration, or to one line that says what is wrong."""

import json
from pathlib import Path
from typing import Any

import yaml
from pydantic import TypeAdapter, ValidationError

from rankscope.models.config import RunConfig
from rankscope.models.schedulers import AnyScheduler


class ConfigError(ValueError):
    """Bad input: one line that says rule, value and remedy."""


def load_config(path: Path, overrides: list[str] | None = None) -> RunConfig:
    """Read a YAML file and apply ``a.b=value`` overrides.

    Raises:
        ConfigError: One line with rule, value and remedy.
    """
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(
            f"the config must be a readable file, got {path} ({error.strerror}); check the path"
        ) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        where = " ".join(str(error).split())
        raise ConfigError(f"the config must be YAML, {path} is not ({where}); mend it") from error
    if not isinstance(raw, dict):
        raise ConfigError(
            f"the config must be a mapping of keys, {path} holds {type(raw).__name__}; "
            "start from a file in configs/"
        )
    for override in overrides or []:
        _override(raw, override)
    return parse_config(raw)


def parse_config(raw: dict[str, Any]) -> RunConfig:
    """Validate a mapping; all that is wrong in one message of a single line."""
    try:
        return RunConfig.model_validate(raw)
    except ValidationError as error:
        raise ConfigError("; ".join(_explain(dict(e), raw) for e in error.errors())) from error


def parse_scheduler(kind: str, overrides: list[str] | None = None) -> AnyScheduler:
    """A scheduler by its kind, with ``key=value`` settings.

    Raises:
        ConfigError: One line with rule, value and remedy.
    """
    raw: dict[str, Any] = {"kind": kind}
    for override in overrides or []:
        _override(raw, override)
    try:
        scheduler: AnyScheduler = TypeAdapter(AnyScheduler).validate_python(raw)
    except ValidationError as error:
        lines = (_explain(dict(e), raw, within="scheduler") for e in error.errors())
        raise ConfigError("; ".join(lines)) from error
    return scheduler


def _override(raw: dict[str, Any], override: str) -> None:
    path, equals, text = override.partition("=")
    keys = path.split(".")
    if not equals or not all(keys):
        raise ConfigError(
            f"an override must read key.key=value, got {override!r}; for example --set seed=1"
        )
    target = raw
    for key in keys[:-1]:
        target = target.setdefault(key, {})
        if not isinstance(target, dict):
            raise ConfigError(f"{key} in {path!r} holds a value, not keys; shorten the path")
    try:
        target[keys[-1]] = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"the value of {path} must be YAML, got {text!r}; quote it") from error


def _explain(error: dict[str, Any], raw: dict[str, Any], *, within: str = "") -> str:
    """One pydantic error as rule, value, remedy."""
    keys = [within] if within else []
    where = ".".join([*keys, *_keys_written(error["loc"], raw)]) or "config"
    value, kind, context = error["input"], error["type"], error.get("ctx", {})
    shown = json.dumps(value, default=str)
    shown = shown if len(shown) <= 80 else shown[:77] + "..."
    if kind == "extra_forbidden":
        return f"{where} is not a known key, got {shown}; remove it or correct its spelling"
    if kind == "missing":
        return f"{where} is required and missing; add it"
    if kind == "union_tag_invalid":
        key = context["discriminator"].strip("'")
        return (
            f"{where}.{key} must be one of {context['expected_tags']}, "
            f"got {context['tag']!r}; choose one"
        )
    if kind == "union_tag_not_found":
        key = context["discriminator"].strip("'")
        return f"{where}.{key} is required and missing; add it"
    if kind == "value_error":
        return str(context["error"])
    rule = error["msg"][0].lower() + error["msg"][1:]
    return f"{where}: {rule}, got {shown}; change it"


def _keys_written(location: tuple[str | int, ...], raw: object) -> list[str]:
    """A place as the file spells it: pydantic also counts a union's kind as a step of the way."""
    keys, here = [], raw
    for part in location:
        if (
            isinstance(here, dict)
            and part not in here
            and part in (here.get("kind"), here.get("unit"))
        ):
            continue
        keys.append(str(part))
        here = here.get(part) if isinstance(here, dict) else None
    return keys
