"""Which field a refusal stands beside: pydantic names a place, all else says it in its words."""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from rankscope.app.form import parts
from rankscope.app.form.fields import Choice, Entry, FormField, Section
from rankscope.app.form.run_form import run_form
from rankscope.app.form.values import Values
from rankscope.models.reading import ConfigError, Problem

Problems = dict[str, list[str]]
"""By the key of a field or a choice: what is wrong with it."""


def problems_beside_fields(error: ConfigError, values: Values) -> Problems:
    """Every problem of a refused form at the field that caused it."""
    places = dict(_places(run_form(), values, "")) | dict(
        zip(parts.LISTS, parts.LISTS, strict=True)
    )
    found: defaultdict[str, list[str]] = defaultdict(list)
    for problem in error.problems:
        message = problem.message.removeprefix(f"{problem.field}: ")
        found[_shown_at(_key_of(problem, places))].append(_sentence(message))
    if not error.problems:
        found[_shown_at(_key_of_refusal(str(error), places))].append(_sentence(str(error)))
    return dict(found)


def _shown_at(key: str) -> str:
    """The two lists of parts stand in the form as one choice a part."""
    return parts.KEY if key in parts.LISTS else key


def _places(entries: Sequence[Entry], values: Values, path: str) -> Iterator[tuple[str, str]]:
    """Keys of fields and choices that count now, with their places as YAML spells them."""
    for entry in entries:
        place = f"{path}.{entry.name}".lstrip(".")
        match entry:
            case FormField():
                yield entry.key, place
            case Section():
                yield from _places(entry.entries, values, place)
            case Choice():
                yield entry.key, place
                for variant in entry.variants:
                    if variant.tag == values[entry.key]:
                        yield from _places(variant.entries, values, place)


def _key_of(problem: Problem, places: dict[str, str]) -> str:
    key = ".".join(problem.place)
    if key in places:
        return key
    items_of = [known for known in places if key.startswith(f"{known}.")]
    within = {known: place for known, place in places.items() if known.startswith(f"{key}.")}
    if within:  # a rule about several fields: beside the one that it names first
        names = {known: (place, place.rpartition(".")[2]) for known, place in within.items()}
        return _first_named(problem.message, names) or next(iter(within))
    return max(items_of, key=len, default=next(iter(places)))


def _key_of_refusal(message: str, places: dict[str, str]) -> str:
    """The place that a planner's refusal speaks of first; the scheduler if of none."""
    named = _first_named(message, {key: (place,) for key, place in places.items()}) or "scheduler"
    inside = [key for key in places if key.startswith(f"{named}.")]
    return inside[0] if len(inside) == 1 else named  # a budget has one field: its value


def _first_named(message: str, names: Mapping[str, tuple[str, ...]]) -> str | None:
    starts = {
        key: min(found)
        for key, spellings in names.items()
        if (found := [at for name in spellings if (at := _find(name, message)) >= 0])
    }
    return min(starts, key=lambda key: starts[key], default=None)


def _find(name: str, message: str) -> int:
    match = re.search(rf"(?<![\w.]){re.escape(name)}(?!\w|\.\w)", message)
    return match.start() if match else -1


def _sentence(message: str) -> str:
    # Names of keys keep their spelling.
    first = message.split(maxsplit=1)[0] if message else ""
    return message if "_" in first or "." in first else message[:1].upper() + message[1:]
