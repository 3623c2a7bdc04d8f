"""What a configuration asks for, as a form: read from pydantic's fields, so that it never drifts.

A field's ``key`` is its place as pydantic's errors spell it: the steps of the way joined by dots,
the kind of a union included, for instance ``scheduler.hydra.probe_items``.
"""

import inspect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import NoneType

import annotated_types
from pydantic import BaseModel, JsonValue
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined, to_jsonable_python

from rankscope.app.form.annotations import (
    Kind,
    is_model,
    kind_and_choices,
    kind_of,
    members,
    only_literal,
    plain,
    tag_of,
)

UNITS = {"s": "s", "steps": "steps", "px": "px", "bytes": "bytes", "megabytes": "MB"}
"""By the last word of a field's name."""
HUGE = 1_000_000
"""Upper limits from here on are told only when they are met."""
WORDS = {"lr": "learning rate", "lora": "LoRA", "mlp": "MLP", "num": "", "sd": "SD", "sds": "SDs"}
"""Words of names that people read otherwise."""


@dataclass(frozen=True)
class FormField:
    """One thing to fill in.

    Args:
        key: Its place, unique in the form.
        name: The key in YAML, within its section.
        title: For the label.
        description: What it is, in a sentence.
        unit: Shown behind the value; "" for none.
        bounds: What is allowed, in words; "" for anything.
        kind: How it is filled in.
        choices: Of ``one_of`` and ``some_of``.
        is_optional: Whether it may be left empty, which means None.
        default: As JSON has it; None where there is none.
    """

    key: str
    name: str
    title: str
    description: str
    unit: str
    bounds: str
    kind: Kind
    choices: tuple[str, ...]
    is_optional: bool
    default: JsonValue


@dataclass(frozen=True)
class Section:
    """Fields that belong together."""

    key: str
    name: str
    title: str
    description: str
    entries: tuple["Entry", ...]


@dataclass(frozen=True)
class Variant:
    """One kind that a choice offers, with its own fields."""

    tag: str
    title: str
    description: str
    entries: tuple["Entry", ...]


@dataclass(frozen=True)
class Choice:
    """A union: one of several kinds; ``discriminator`` is the key that names the kind.

    ``default`` is the tag of the kind that is taken if none is named, or of the first.
    """

    key: str
    name: str
    title: str
    description: str
    discriminator: str
    default: str
    variants: tuple[Variant, ...]


Entry = FormField | Section | Choice


def form_of(model: type[BaseModel], key: str = "") -> tuple[Entry, ...]:
    """The form of a pydantic model, whose place in the whole is ``key``."""
    return tuple(
        _entry(name, info, f"{key}.{name}" if key else name)
        for name, info in model.model_fields.items()
        if only_literal(info.annotation) is None  # a version, or a union's kind
    )


def fields_in(entries: Sequence[Entry]) -> Iterator[FormField]:
    """All fields, those of every kind of every choice included."""
    for entry in entries:
        match entry:
            case FormField():
                yield entry
            case Section():
                yield from fields_in(entry.entries)
            case Choice():
                for variant in entry.variants:
                    yield from fields_in(variant.entries)


def keys_in(entries: Sequence[Entry]) -> Iterator[str]:
    """The keys of all values of a form: those of fields and of choices."""
    for entry in entries:
        match entry:
            case FormField():
                yield entry.key
            case Section():
                yield from keys_in(entry.entries)
            case Choice():
                yield entry.key
                for variant in entry.variants:
                    yield from keys_in(variant.entries)


def _entry(name: str, info: FieldInfo, key: str) -> Entry:
    title = info.title or _words(name)
    description = info.description or ""
    annotation = plain(info.annotation)
    discriminator = info.discriminator if isinstance(info.discriminator, str) else None
    if discriminator is not None:
        models = [m for m in map(plain, members(annotation)) if is_model(m)]
        variants = (_variant(m, discriminator, f"{key}.{tag_of(m, discriminator)}") for m in models)
        return _choice(name, info, key, discriminator, tuple(variants))
    if is_model(annotation):
        discriminator = kind_of(annotation)
        if discriminator is not None:
            # A union of one, as long as there is one kind: pydantic's places name no kind then.
            return _choice(
                name, info, key, discriminator, (_variant(annotation, discriminator, key),)
            )
        text = description or _first_paragraph(annotation)
        return Section(key, name, title, text, form_of(annotation, key))
    kind, choices = kind_and_choices(annotation)
    return FormField(
        key=key,
        name=name,
        title=title,
        description=description,
        unit=UNITS.get(name.rsplit("_", 1)[-1], ""),
        bounds=_bounds(info) if kind == "number" else "",
        kind=kind,
        choices=choices,
        is_optional=NoneType in members(info.annotation),
        default=to_jsonable_python(_default(info)),
    )


def _choice(
    name: str, info: FieldInfo, key: str, discriminator: str, variants: tuple[Variant, ...]
) -> Choice:
    default = getattr(_default(info), discriminator, variants[0].tag)
    title = info.title or _words(name)
    return Choice(key, name, title, info.description or "", discriminator, default, variants)


def _default(info: FieldInfo) -> object:
    default = info.get_default(call_default_factory=True, validated_data={})
    return None if default is PydanticUndefined else default


def _variant(model: type[BaseModel], discriminator: str, key: str) -> Variant:
    tag = tag_of(model, discriminator)
    title = model.model_config.get("title") or _words(tag)
    return Variant(tag, title, _first_paragraph(model), form_of(model, key))


def _bounds(info: FieldInfo) -> str:
    """``1 to 16``, ``above 0, at most 1``, and so on; limits that nobody meets are left out."""
    low = high = ""
    low_number = high_number = ""
    for rule in info.metadata:
        match rule:
            case annotated_types.Ge(ge=bound):
                low, low_number = f"at least {_number(bound)}", _number(bound)
            case annotated_types.Gt(gt=bound):
                low = f"above {_number(bound)}"
            case annotated_types.Le(le=(int() | float()) as bound) if bound < HUGE:
                high, high_number = f"at most {_number(bound)}", _number(bound)
            case annotated_types.Lt(lt=(int() | float()) as bound) if bound < HUGE:
                high = f"below {_number(bound)}"
    if low_number and high_number:
        return f"{low_number} to {high_number}"
    if not high and low_number in ("0", "1"):
        return ""
    return ", ".join(filter(None, (low, high)))


def _number(bound: object) -> str:
    return f"{bound:,.12g}" if isinstance(bound, float) else f"{bound:,}"


def _words(name: str) -> str:
    """``probe_items`` as ``Probe items``; a trailing unit is shown behind the value instead."""
    words = name.split("_")
    if len(words) > 1 and words[-1] in UNITS and words[-1] != "steps":
        words.pop()
    text = " ".join(filter(None, (WORDS.get(word, word) for word in words)))
    return text[:1].upper() + text[1:]


def _first_paragraph(model: type[BaseModel]) -> str:
    return " ".join((inspect.getdoc(model) or "").split("\n\n")[0].split()).replace("``", "")
