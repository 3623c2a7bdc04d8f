"""A configuration as the shortest YAML that gives it again, and as the command that submits it."""

from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from rankscope.app.form.fields import Choice, Entry, FormField, Section
from rankscope.app.form.run_form import config_form
from rankscope.models.config import RunConfig


def yaml_of(config: RunConfig) -> str:
    """YAML of what differs from the defaults; the chosen kinds are always named."""
    data = _short(config_form(), config.model_dump(mode="json"))
    return yaml.safe_dump(
        data, sort_keys=False, default_flow_style=None, allow_unicode=True, width=96
    )


def command_of(config: RunConfig, num_seeds: int) -> str:
    """The same as a shell command, whole in itself."""
    seeds = f" --seeds {num_seeds}" if num_seeds > 1 else ""
    return f"rankscope submit /dev/stdin{seeds} <<'YAML'\n{yaml_of(config)}YAML"


def _short(entries: Sequence[Entry], data: Mapping[str, Any]) -> dict[str, Any]:
    short: dict[str, Any] = {}
    for entry in entries:
        value = data[entry.name]
        match entry:
            case FormField():
                if value != entry.default or entry.default is None is not value:
                    short[entry.name] = value
            case Section():
                inner = _short(entry.entries, value)
                if inner:
                    short[entry.name] = inner
            case Choice():
                kind = {entry.discriminator: value[entry.discriminator]}
                (own,) = (v for v in entry.variants if v.tag == value[entry.discriminator])
                inner = kind | _short(own.entries, value)
                if "." not in entry.key:  # what people look for first, so never left out
                    only = (
                        {e.name: value[e.name] for e in own.entries}
                        if len(own.entries) == 1
                        else {}
                    )
                    short[entry.name] = inner | only
                elif inner != {entry.discriminator: entry.default}:
                    short[entry.name] = inner
    return short
