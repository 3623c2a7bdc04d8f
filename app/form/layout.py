"""Where the fields stand: what decides a run is open, the rest is folded; none can be left out."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from html import escape

import gradio as gr
from gradio.components import FormComponent

from rankscope.app.form import parts
from rankscope.app.form.components import (
    buttons_of,
    cards_of,
    component_of,
    element_id,
)
from rankscope.app.form.fields import Choice, Entry, FormField, Section, keys_in
from rankscope.app.form.run_form import run_form
from rankscope.app.form.values import Value, Values

NAMING = ("name", "tags")
WHAT = ("model", "data")
MATTERS = ("training.steps", "training.batch_size", "optimizer.lr")
"""Of the settings of training, those that people change; all others are folded."""
TARGETS = "lora.targets"
MAX_OPEN = 4
"""A kind with more fields than this shows its choices and what names it, and folds the rest."""
NAMES = ("source", "revision", "folder", "vision_folder", "path", "image_root", "id")
"""Fields that say which model or data are meant; never folded."""

Components = dict[str, FormComponent]
Look = Callable[[Choice, Value], gr.Radio]


class FormLayout:
    """Draws the form of a run into the Gradio context; ``components`` has all of them by key."""

    def __init__(self, values: Values) -> None:
        self.components: Components = {}
        self._values = values
        self._entries = {entry.key: entry for entry in run_form()}

    def what(self) -> None:
        """Model, data set and task."""
        for key in WHAT:
            self._draw(self._entries.pop(key))

    def trained(self) -> None:
        """What is done with each part of the model, and which of its modules get adapters."""
        section = self._entries.pop(parts.KEY)
        with gr.Column(elem_id=element_id(parts.KEY), elem_classes=["new-parts"]):
            label = f'<span class="visually-hidden" data-testid="block-info">{section.title}</span>'
            gr.HTML(label, apply_default_css=False, js_on_load=None)
            self._draw(section)
        self._draw(self._field(TARGETS))

    def budget(self) -> None:
        """The unit of the budget and its value."""
        self._draw(self._entries.pop("budget"), look=buttons_of)

    def scheduler(self) -> None:
        """One scheduler and its own fields."""
        self._draw(self._entries.pop("scheduler"))

    def training(self) -> None:
        """The settings that matter."""
        for key in MATTERS:
            self._draw(self._field(key))

    def naming(self) -> None:
        """Name and tags."""
        for key in NAMING:
            self._draw(self._entries.pop(key))

    def seed(self) -> None:
        """The first seed."""
        self._draw(self._entries.pop("seed"))

    def rest(self) -> None:
        """All that has no place of its own, by section, folded."""
        for entry in self._entries.values():
            left = _without(entry, self.components)
            if left is None:
                continue
            title = entry.title if left == entry else f"More of {entry.title.lower()}"
            with fold(title, _summary(left)):
                self._draw(left)
        self._entries.clear()

    def _field(self, key: str) -> Entry:
        """A field of a section."""
        section = self._entries[key.split(".", maxsplit=1)[0]]
        assert isinstance(section, Section)
        return next(entry for entry in section.entries if entry.key == key)

    def _draw(self, entry: Entry, *, look: Look = cards_of) -> None:
        match entry:
            case FormField():
                self.components[entry.key] = component_of(entry, self._values[entry.key])
            case Section():
                self._draw_all(entry.entries)
            case Choice():
                self._draw_choice(entry, look)

    def _draw_all(self, entries: Sequence[Entry]) -> None:
        fields = [entry for entry in entries if isinstance(entry, FormField)]
        if fields:
            with gr.Column(elem_classes=["fields"]):
                for field in fields:
                    self._draw(field)
        for entry in entries:
            if isinstance(entry, Section):
                gr.HTML(
                    f'<h3 class="fields-title">{escape(entry.title)}</h3>',
                    apply_default_css=False,
                    js_on_load=None,
                )
            if not isinstance(entry, FormField):
                self._draw(entry)

    def _draw_choice(self, choice: Choice, look: Look) -> None:
        value = self._values[choice.key]
        draw = buttons_of if "." in choice.key else look
        with gr.Column(elem_classes=["choice", element_id(f"choice-{choice.key}")]):
            self.components[choice.key] = draw(choice, value)
            for variant in choice.variants:
                if not variant.entries:
                    continue
                with gr.Column(elem_classes=["variant", variant_class(choice, variant.tag)]):
                    self._draw_variant(choice, variant.entries, variant.title)

    def _draw_variant(self, choice: Choice, entries: Sequence[Entry], title: str) -> None:
        if "." in choice.key or len(list(keys_in(entries))) <= MAX_OPEN:
            self._draw_all(entries)
            return
        is_open = [
            isinstance(e, FormField) and (e.kind == "one_of" or e.name in NAMES) for e in entries
        ]
        self._draw_all([e for e, shown in zip(entries, is_open, strict=True) if shown])
        folded = [e for e, shown in zip(entries, is_open, strict=True) if not shown]
        with fold(f"Settings of {title}", f"{len(list(keys_in(folded)))} with defaults"):
            self._draw_all(folded)


@contextmanager
def fold(title: str, note: str) -> Iterator[None]:
    """A part that opens on demand; ``ui/new.js`` opens it, and also where a problem is inside."""
    head = (
        '<button type="button" class="fold-button" aria-expanded="false">'
        f'<span>{escape(title)}</span><span class="muted">{escape(note)}</span></button>'
    )
    with gr.Column(elem_classes=["fold"]):
        gr.HTML(head, apply_default_css=False, elem_classes=["fold-head"], js_on_load=None)
        yield


def variant_class(choice: Choice, tag: str) -> str:
    """The class of the part that shows only while a kind is chosen."""
    return element_id(f"variant-{choice.key}-{tag}")


def style_of_choices(entries: Sequence[Entry]) -> str:
    """CSS that hides the fields of kinds not chosen: at once, without asking the server."""
    return "\n".join(_hiding(entries))


def _hiding(entries: Sequence[Entry]) -> Iterator[str]:
    for entry in entries:
        match entry:
            case Section():
                yield from _hiding(entry.entries)
            case Choice():
                for variant in entry.variants:
                    yield (
                        f".{element_id(f'choice-{entry.key}')}"
                        f':not(:has(#{element_id(entry.key)} input[value="{variant.tag}"]:checked))'
                        f" .{variant_class(entry, variant.tag)} {{ display: none !important; }}"
                    )
                    yield from _hiding(variant.entries)


def _without(entry: Entry, drawn: Components) -> Entry | None:
    """What of an entry is not drawn yet."""
    if not isinstance(entry, Section):
        return None if entry.key in drawn else entry
    left = tuple(e for e in entry.entries if e.key not in drawn)
    return replace(entry, entries=left) if left else None


def _summary(entry: Entry) -> str:
    return entry.description.split(" (")[0].rstrip(".")
