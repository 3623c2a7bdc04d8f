"""A run's configuration as people read it: one row per setting with its default."""

from typing import Any, TypedDict

from pydantic import ValidationError

from rankscope.models.config import RunConfig
from rankscope.models.external import ExternalRun, is_external

_CHOICES = ("kind", "unit")
"""Keys that choose which settings a part has; their own default is that of the whole config."""


class SettingRow(TypedDict):
    """One setting of a run."""

    key: str
    """With dots, as in YAML and on the command line."""
    value: object
    default: object
    is_default: bool


def settings_shown(config: dict[str, Any]) -> list[SettingRow]:
    """Rows in the order of the configuration; of another version, all count as changed.

    The default of a setting is the one its chosen kind has: a scheduler's own settings are
    compared with that scheduler's defaults.

    Args:
        config: JSON of a ``RunConfig`` or an ``ExternalRun``, of this version or another.
    """
    defaults = _external_defaults(config) if is_external(config) else _defaults(config)
    return [
        SettingRow(
            key=key,
            value=value,
            default=defaults.get(key),
            is_default=key in defaults and defaults[key] == value,
        )
        for key, value in _flat(config).items()
    ]


def _defaults(config: dict[str, Any]) -> dict[str, object]:
    data = config.get("data", {})
    given: dict[str, Any] = {"data": {key: data[key] for key in ("kind", "task") if key in data}}
    plain = _valid(given)
    for part, content in config.items():
        if isinstance(content, dict) and part != "data":
            chosen = {key: content[key] for key in _CHOICES if key in content}
            if chosen and _valid(given | {part: chosen}):
                given[part] = chosen
    of_kinds = _valid(given)
    choices = {key: value for key, value in plain.items() if key.endswith(_CHOICES)}
    known = of_kinds | choices
    # a data set has no default: what was chosen is always worth showing
    return {key: value for key, value in known.items() if key not in {"data.kind", "data.task"}}


def _external_defaults(config: dict[str, Any]) -> dict[str, object]:
    """Of what a run of somebody's own script says; nobody has a default for the rest."""
    required = {
        "budget": config.get("budget"),
        "scheduler": {"kind": config.get("scheduler", {}).get("kind")},
        "training": {"steps": config.get("training", {}).get("steps")},
    }
    try:
        defaults = _flat(ExternalRun.model_validate(required).model_dump(mode="json"))
    except ValidationError:
        return {}
    chosen = {"budget.value", "scheduler.kind", "training.steps"}
    return {key: value for key, value in defaults.items() if key not in chosen}


def _valid(given: dict[str, Any]) -> dict[str, object]:
    """All settings of the config that follows from a few; none if it does not validate."""
    try:
        return _flat(RunConfig.model_validate(given).model_dump(mode="json"))
    except ValidationError:
        return {}


def _flat(config: dict[str, Any], before: str = "") -> dict[str, object]:
    rows: dict[str, object] = {}
    for key, value in config.items():
        if isinstance(value, dict):
            rows |= _flat(value, f"{before}{key}.")
        else:
            rows[before + key] = value
    return rows
