"""Between what stands in the form's fields and a configuration, both ways without loss.

The values of a form are text, choices and switches by the keys of its fields; those of kinds that
are not chosen are kept, so that nothing typed is lost, and left out of the configuration.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pydantic import JsonValue

from rankscope.app.form.annotations import Kind
from rankscope.app.form.fields import Choice, Entry, FormField, Section
from rankscope.app.form.parts import chosen_from, lists_from
from rankscope.app.form.run_form import run_form
from rankscope.models.config import RunConfig

Value = str | bool | list[str]
Values = Mapping[str, Value]

_WORD = re.compile(r'\s*(?:"((?:[^"]|"")*)"|([^,]*?))\s*(?:,|$)')


def values_of(config: RunConfig) -> dict[str, Value]:
    """What stands in the form for a configuration; kinds not chosen show their defaults."""
    values: dict[str, Value] = {}
    _show(run_form(), chosen_from(config.model_dump(mode="json")), values)
    return values


def mapping_of(values: Values) -> dict[str, Any]:
    """The configuration as it stands in the form, to be validated."""
    return lists_from(_written(run_form(), values))


def _show(entries: Sequence[Entry], data: Mapping[str, Any], values: dict[str, Value]) -> None:
    for entry in entries:
        match entry:
            case FormField():
                values[entry.key] = _shown(entry, data.get(entry.name, entry.default))
            case Section():
                _show(entry.entries, data.get(entry.name, {}), values)
            case Choice():
                inner = data.get(entry.name, {entry.discriminator: entry.default})
                chosen = values[entry.key] = inner[entry.discriminator]
                for variant in entry.variants:
                    _show(variant.entries, inner if variant.tag == chosen else {}, values)


def _written(entries: Sequence[Entry], values: Values) -> dict[str, Any]:
    data: dict[str, Any] = {}
    for entry in entries:
        match entry:
            case FormField():
                data[entry.name] = _value(entry, values[entry.key])
            case Section():
                data[entry.name] = _written(entry.entries, values)
            case Choice():
                chosen = values[entry.key]
                data[entry.name] = {entry.discriminator: chosen}
                for variant in entry.variants:
                    if variant.tag == chosen:
                        data[entry.name] |= _written(variant.entries, values)
    return data


def _shown(field: FormField, value: JsonValue) -> Value:
    """A value as it stands in its field."""
    if field.kind == "switch":
        return bool(value)
    if field.kind == "some_of":
        return [str(v) for v in value] if isinstance(value, list) else []
    return _text(field, value)


def _text(field: FormField, value: JsonValue) -> str:
    match field.kind:
        case "words":
            return ", ".join(map(_quoted, value if isinstance(value, list) else []))
        case "pairs":
            return _lines(value if isinstance(value, dict) else {})
        case "json":
            return "" if value is None and field.is_optional else json.dumps(value)
        case "number" if isinstance(value, float):
            return repr(value).removesuffix(".0")
    return "" if value is None else str(value)


def _value(field: FormField, shown: Value) -> JsonValue:
    """What a field says; text that is no number stays text, for pydantic to refuse."""
    if isinstance(shown, bool):
        return shown
    if isinstance(shown, list):
        return list(shown)
    if field.is_optional and not shown.strip():
        return None
    readers: dict[Kind, Callable[[str], JsonValue]] = {
        "number": _number,
        "words": _split,
        "pairs": _pairs,
        "json": _json,
    }
    return readers.get(field.kind, str)(shown)


def _number(text: str) -> int | float | str:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _lines(pairs: Mapping[str, JsonValue]) -> str:
    """``name: number`` lines; names that would not come back as they are stand in quotes."""
    names = {n: json.dumps(n) if n != n.strip() or n[:1] == '"' or "\n" in n else n for n in pairs}
    return "\n".join(f"{names[name]}: {value}" for name, value in pairs.items())


def _pairs(text: str) -> dict[str, JsonValue]:
    """The pairs of :func:`_lines`; what is no number stays text, for pydantic to refuse."""
    pairs: dict[str, JsonValue] = {}
    for line in filter(str.strip, text.splitlines()):
        name, _, number = line.rpartition(":") if ":" in line else (line, "", "")
        name, number = name.strip(), number.strip()
        quoted = _json(name) if name[:1] == '"' else name
        key = quoted if isinstance(quoted, str) else name
        pairs[key] = f"{pairs[key]}, {number}" if key in pairs else _number(number)
    return pairs


def _json(text: str) -> JsonValue:
    try:
        value: JsonValue = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return value


def _quoted(word: JsonValue) -> str:
    text = str(word)
    needs_quotes = "," in text or '"' in text or text != text.strip()
    return '"' + text.replace('"', '""') + '"' if needs_quotes else text


def _split(text: str) -> list[JsonValue]:
    """Words between commas; a word with commas stands in quotes, as in CSV."""
    found = ((match[1], match[2]) for match in _WORD.finditer(text))
    words = (quoted.replace('""', '"') if quoted is not None else plain for quoted, plain in found)
    return [word for word in words if word]
