"""From YAML, overrides or a mapping to a configuration, or to one line that says what is wrong."""

import json
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import yaml
from pydantic import TypeAdapter, ValidationError

from rankscope.models.config import RunConfig
from rankscope.models.schedulers import AnyScheduler

MAX_TEXT_LENGTH = 65_536
"""Of YAML that somebody sends; the longest config with every key written out has 3,000."""


Part = TypeVar("Part")
_SCHEDULER: TypeAdapter[AnyScheduler] = TypeAdapter(AnyScheduler)

_RULES = {
    "int_parsing": "must be a whole number",
    "int_parsing_size": "must be a whole number of less than 4,300 digits",
    "int_from_float": "must be a whole number",
    "int_type": "must be a whole number",
    "float_parsing": "must be a number",
    "float_type": "must be a number",
    "finite_number": "must be a finite number",
    "too_short": "must have at least one item",
}
"""What pydantic says in the words of a programmer, by the type of its error."""
_BOUNDS = {
    "greater_than": ("above", "gt", "raise it"),
    "greater_than_equal": ("at least", "ge", "raise it"),
    "less_than": ("below", "lt", "lower it"),
    "less_than_equal": ("at most", "le", "lower it"),
}
"""Rule, name of the bound in pydantic's context, and remedy."""


class Problem(NamedTuple):
    """One thing that is wrong with a configuration.

    Args:
        field: The place as YAML spells it, ``optimizer.lr``; "" for the whole.
        place: The same as pydantic counts it, with the kind of each union on the way.
        message: Rule, value and remedy.
    """

    field: str
    place: tuple[str, ...]
    message: str


class ConfigError(ValueError):
    """Bad input: one line that says rule, value and remedy.

    Args:
        message: The line.
        problems: What it is made of, where single fields are to blame.
    """

    def __init__(self, message: str, problems: tuple[Problem, ...] = ()) -> None:
        super().__init__(message)
        self.problems = problems


def load_config(path: Path, overrides: list[str] | None = None) -> RunConfig:
    """Read a YAML file and apply ``a.b=value`` overrides.

    Raises:
        ConfigError: One line with rule, value and remedy.
    """
    return parse_config(overridden(load_mapping(path), overrides))


def load_mapping(path: Path) -> dict[str, Any]:
    """The keys of a YAML file.

    Raises:
        ConfigError: It cannot be read, or holds no mapping.
    """
    try:
        text = path.read_bytes()
    except OSError as error:
        raise ConfigError(
            f"the config must be a readable file, got {path} ({error.strerror}); check the path"
        ) from error
    return _mapping(text, str(path))


def overridden(raw: dict[str, Any], overrides: list[str] | None) -> dict[str, Any]:
    """A mapping with ``a.b=value`` overrides applied, in place.

    Raises:
        ConfigError: An override makes no sense.
    """
    for override in overrides or []:
        _override(raw, override)
    return raw


def read_config(text: str, called: str) -> RunConfig:
    """Read a configuration from YAML that somebody sent; ``called`` names it in messages.

    Raises:
        ConfigError: One line with rule, value and remedy.
    """
    _check_size(text, called)
    return parse_config(_mapping(text, called))


def parse_config(raw: dict[str, Any]) -> RunConfig:
    """Validate a mapping; all that is wrong in one message of a single line."""
    try:
        return RunConfig.model_validate(raw)
    except ValidationError as error:
        problems = tuple(
            Problem(
                ".".join(_keys_written(e["loc"], raw)),
                tuple(map(str, e["loc"])),
                _explain(dict(e), raw),
            )
            for e in error.errors()
        )
        raise ConfigError("; ".join(p.message for p in problems), problems) from error


def parse_scheduler(kind: str, overrides: list[str] | None = None) -> AnyScheduler:
    """A scheduler by its kind, with ``key=value`` settings.

    Raises:
        ConfigError: One line with rule, value and remedy.
    """
    raw: dict[str, Any] = {"kind": kind}
    for override in overrides or []:
        _override(raw, override)
    scheduler: AnyScheduler = parse_part(_SCHEDULER, raw, "scheduler")
    return scheduler


def parse_part(part: TypeAdapter[Part], raw: dict[str, Any], name: str) -> Part:
    """A part of a configuration from its own mapping; ``name`` is what messages call it.

    Raises:
        ConfigError: One line with rule, value and remedy.
    """
    try:
        return part.validate_python(raw)
    except ValidationError as error:
        lines = (_explain(dict(e), raw, within=name) for e in error.errors())
        raise ConfigError("; ".join(lines)) from error


def _mapping(text: str | bytes, called: str) -> dict[str, Any]:
    try:
        raw = yaml.safe_load(text)
    # Odd numbers, dates and escapes fail with these, endless brackets exhaust the stack.
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError) as error:
        where = " ".join(str(error).split())
        raise ConfigError(f"the config must be YAML, {called} is not ({where}); mend it") from error
    if not isinstance(raw, dict):
        raise ConfigError(
            f"the config must be a mapping of keys, {called} holds {type(raw).__name__}; "
            "start from a file in configs/"
        )
    return raw


def _check_size(text: str, called: str) -> None:
    """Refuse what would cost a server much: long texts, and aliases that multiply."""
    if len(text) > MAX_TEXT_LENGTH:
        raise ConfigError(
            f"{called} must not exceed {MAX_TEXT_LENGTH:,} characters, "
            f"got {len(text):,}; shorten it"
        )
    try:
        has_alias = any(isinstance(token, yaml.AliasToken) for token in yaml.scan(text))
    except (yaml.YAMLError, ValueError, OverflowError):
        return  # reading it says why
    if has_alias:
        raise ConfigError(f"{called} must not use YAML aliases (*name), got one; write it out")


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
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"the value of {path} must be YAML, got {text!r}; quote it") from error
    if keys[-1] == "kind" and target.get("kind", value) != value:
        target.clear()  # the other kind's keys mean nothing to this one
    target[keys[-1]] = value


def _explain(error: dict[str, Any], raw: dict[str, Any], *, within: str = "") -> str:
    """One pydantic error as rule, value, remedy."""
    keys = [within] if within else []
    where = ".".join([*keys, *_keys_written(error["loc"], raw)]) or "config"
    value, kind, context = error["input"], error["type"], error.get("ctx", {})
    shown = json.dumps(value, default=str)
    shown = shown if len(shown) <= 80 else shown[:77] + "..."
    key = str(context.get("discriminator", "")).strip("'")
    match kind:
        case "extra_forbidden":
            line = f"{where} is not a known key, got {shown}; remove it or correct its spelling"
        case "missing":
            line = f"{where} is required and missing; add it"
        case "union_tag_not_found":
            line = f"{where}.{key} is required and missing; add it"
        case "union_tag_invalid":
            expected, tag = context["expected_tags"], context["tag"]
            line = f"{where}.{key} must be one of {expected}, got {tag!r}; choose one"
        case "literal_error":
            line = f"{where} must be {context['expected']}, got {shown}; change it"
        case "value_error":
            line = str(context["error"])
        case "greater_than" | "greater_than_equal" | "less_than" | "less_than_equal":
            rule, bound, remedy = _BOUNDS[kind]
            line = f"{where} must be {rule} {_number(context[bound])}, got {shown}; {remedy}"
        case _:
            rule = _RULES.get(kind) or f"does not fit: {error['msg'][0].lower()}{error['msg'][1:]}"
            line = f"{where} {rule}, got {shown}; change it"
    return line


def _number(bound: float) -> str:
    return f"{int(bound):,}" if bound == int(bound) else f"{bound:g}"


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
