"""Fields of a form as Gradio components: labelled, described, found again by their key."""

import gradio as gr
from gradio.components import FormComponent

from rankscope.app.form.fields import Choice, FormField
from rankscope.app.form.parts import WORDS
from rankscope.app.form.values import Value
from rankscope.models.reading import MAX_TEXT_LENGTH

MAX_LENGTH = 2000
"""Characters of one field; a pattern of targets is the longest there is."""
_MAX_LINES = 8
"""Of a field with one pair per line; more are scrolled."""
_MAX_BUTTONS = 7
"""More choices than this open as a list."""


def component_of(field: FormField, value: Value) -> FormComponent:
    """The component of a field with its first value."""
    match field.kind:
        case "switch":
            return gr.Checkbox(
                bool(value), label=_label(field), info=_info(field), elem_id=element_id(field.key)
            )
        case "some_of":
            return gr.CheckboxGroup(
                [(_word(c), c) for c in field.choices],
                value=list(value) if isinstance(value, list) else [],
                label=_label(field),
                info=_info(field),
                elem_id=element_id(field.key),
            )
        case "one_of":
            none = [("none", "")] if field.is_optional else []
            kind = gr.Radio if len(field.choices) <= _MAX_BUTTONS else gr.Dropdown
            return kind(
                [*none, *((_word(c), c) for c in field.choices)],
                value=str(value),
                label=_label(field),
                info=_info(field),
                elem_id=element_id(field.key),
                elem_classes=["segments"],
            )
    return text_box(
        field.key,
        str(value),
        label=_label(field),
        info=_info(field),
        is_number=field.kind == "number",
        placeholder="none" if field.is_optional else None,
        max_lines=_MAX_LINES if field.kind == "pairs" else 1,
    )


def text_box(
    key: str,
    value: str,
    *,
    label: str,
    info: str | None,
    is_number: bool,
    placeholder: str | None = None,
    max_lines: int = 1,
) -> gr.Textbox:
    """Text, by default one line; numbers are text too, so that a wrong one is kept and explained.

    Boxes of several lines grow with what is in them.
    """
    return gr.Textbox(
        value,
        label=label,
        info=info,
        placeholder=placeholder,
        lines=min(max_lines, 2),
        max_lines=max_lines,
        max_length=MAX_LENGTH if max_lines == 1 else MAX_TEXT_LENGTH,
        html_attributes=gr.InputHTMLAttributes(autocomplete="off", spellcheck=False),
        elem_id=element_id(key),
        elem_classes=["is-number"] if is_number else [],
    )


def cards_of(choice: Choice, value: Value) -> gr.Radio:
    """A choice as cards: title and description of every kind."""
    described = [(f"{v.title}\n{v.description}".strip(), v.tag) for v in choice.variants]
    return _radio(choice, described, value, "cards")


def buttons_of(choice: Choice, value: Value) -> gr.Radio:
    """A choice as a row of buttons: the titles alone."""
    return _radio(choice, [(v.title, v.tag) for v in choice.variants], value, "segments")


def element_id(key: str) -> str:
    """The id in the page of the component with this key; ``ui/new.js`` finds fields by it."""
    return "field-" + key.replace(".", "-")


def _radio(choice: Choice, choices: list[tuple[str, str]], value: Value, look: str) -> gr.Radio:
    return gr.Radio(
        choices,
        value=str(value),
        label=choice.title,
        elem_id=element_id(choice.key),
        elem_classes=[look],
    )


def _info(field: FormField) -> str | None:
    bounds = field.bounds[:1].upper() + field.bounds[1:]
    return " ".join(f"{part.rstrip('.')}." for part in (field.description, bounds) if part) or None


def _label(field: FormField) -> str:
    has_unit = field.unit and field.unit not in field.title.lower()
    return f"{field.title} ({field.unit})" if has_unit else field.title


def _word(choice: str) -> str:
    return WORDS.get(choice, choice.replace("_", " "))
