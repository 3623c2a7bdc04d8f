"""What is done with each part of a model: one choice a part, in place of two lists of parts."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from rankscope.app.form.fields import Entry, FormField, Section
from rankscope.models.inventory import PARTS, Part

KEY = "parts"
WAYS = ("frozen", "lora", "full")
WORDS = {"lora": "LoRA", "full": "in full"}
"""How ways are spelled for people, where not as they are."""
LISTS = {"lora.parts": "lora", "training.full_parts": "full"}
"""The configuration's own fields, and the way that a part in each is trained."""
_TITLES: dict[Part, str] = {
    "vision": "Vision tower",
    "projector": "Projector",
    "language": "Language model",
}


def with_choices(entries: Sequence[Entry]) -> tuple[Entry, ...]:
    """The form with a choice for each part instead of the two lists."""
    return tuple(_with_choices(entries))


def chosen_from(config: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration's data with the choices beside it."""
    lists = {way: config[section][name] for section, name, way in _places()}
    ways = {part: next((w for w in lists if part in lists[w]), "frozen") for part in PARTS}
    return {**config, KEY: ways}


def lists_from(data: dict[str, Any]) -> dict[str, Any]:
    """A form's data as the configuration has it: the choices as two lists."""
    ways: dict[str, str] = data.pop(KEY)
    for section, name, way in _places():
        data[section][name] = [part for part in PARTS if ways[part] == way]
    return data


def _with_choices(entries: Sequence[Entry]) -> Iterator[Entry]:
    for entry in entries:
        if not isinstance(entry, Section):
            yield entry
            continue
        kept = tuple(e for e in entry.entries if e.key not in LISTS)
        if entry.key == "lora":
            yield Section(
                KEY,
                KEY,
                "What is trained",
                "Each part is frozen, gets adapters, or has its own weights trained in full.",
                tuple(_choice(part) for part in PARTS),
            )
        yield replace(entry, entries=kept)


def _choice(part: Part) -> FormField:
    return FormField(
        key=f"{KEY}.{part}",
        name=part,
        title=_TITLES[part],
        description="",
        unit="",
        bounds="",
        kind="one_of",
        choices=WAYS,
        is_optional=False,
        default="lora" if part == "language" else "frozen",
    )


def _places() -> Iterator[tuple[str, str, str]]:
    for place, way in LISTS.items():
        section, name = place.split(".")
        yield section, name, way
