"""The page *New run*: a form on the left, what the run would get on the right."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from html import escape
from typing import Any
from uuid import uuid4

import gradio as gr
from gradio.components import FormComponent

from rankscope.app.door.identity import of_gradio
from rankscope.app.form.components import text_box
from rankscope.app.form.filling import config_from
from rankscope.app.form.launching import launch
from rankscope.app.form.layout import Components, FormLayout, style_of_choices
from rankscope.app.form.preview import MAX_SEEDS, SEEDS_KEY, budget_texts, preview, read_form
from rankscope.app.form.run_form import run_form
from rankscope.app.form.targets import chosen, targets_shown
from rankscope.app.form.values import Value, Values, values_of
from rankscope.app.pages.contract import Page, Site
from rankscope.app.pages.screen import screen
from rankscope.models.presets import preset, presets
from rankscope.models.reading import ConfigError
from rankscope.tasks import client

FIRST_PRESET = "demo"
"""What the form opens with, so that it is right from the start."""

Answer = dict[str, Any]


def build(site: Site) -> None:
    """Build the page."""
    gr.HTML(f"<style>{style_of_choices(run_form())}</style>", js_on_load=None, visible="hidden")
    with gr.Column(elem_classes=["new-page"]):
        gr.HTML(_head(), apply_default_css=False, js_on_load=None, padding=False)
        with gr.Column(elem_classes=["new-columns"]):
            with gr.Column(elem_classes=["new-form"]):
                components = _form()
            with gr.Column(elem_classes=["new-outlook"]):
                screen("new", '<span class="skeleton" style="height: 640px"></span>')
    _Handlers(site, components).attach()


def _head() -> str:
    links = "".join(
        f'<button type="button" class="button" data-preset="{escape(p.name)}" '
        f'title="{escape(p.description)}">{escape(p.config.name or p.name)}</button>'
        for p in presets()
    )
    return (
        '<div class="new-head"><h1>New run</h1>'
        f'<div class="row"><span class="muted">Start from</span>{links}</div></div>'
        '<div id="new-notice"></div>'
    )


def _form() -> Components:
    layout = FormLayout(values_of(preset(FIRST_PRESET).config))
    with _card("What"):
        with gr.Column(elem_classes=["new-what"]):
            layout.what()
        gr.HTML('<div id="new-model"></div>', apply_default_css=False, js_on_load=None)
        gr.HTML('<div id="new-upload"></div>', apply_default_css=False, js_on_load=None)
        gr.HTML('<div id="new-samples"></div>', apply_default_css=False, js_on_load=None)
        gr.HTML('<div id="new-data"></div>', apply_default_css=False, js_on_load=None)
    with _card("What is trained"):
        layout.trained()
        gr.HTML('<div id="new-targets"></div>', apply_default_css=False, js_on_load=None)
    with _card("Budget"), gr.Column(elem_classes=["new-budget-row"]):
        layout.budget()
        gr.HTML('<div id="new-budget"></div>', apply_default_css=False, js_on_load=None)
    with _card("Scheduler"):
        layout.scheduler()
    with _card("Training"):
        with gr.Column(elem_classes=["fields"]):
            layout.training()
            layout.seed()
            layout.components[SEEDS_KEY] = text_box(
                SEEDS_KEY,
                "1",
                label="Number of seeds",
                info=f"One run each, from the seed upwards; at most {MAX_SEEDS}.",
                is_number=True,
            )
            layout.naming()
        layout.rest()
    return layout.components


@contextmanager
def _card(title: str) -> Iterator[None]:
    with gr.Column(elem_classes=["card", "new-card"]):
        gr.HTML(f"<h2>{escape(title)}</h2>", apply_default_css=False, js_on_load=None)
        yield


class _Handlers:
    """What the server answers to the form; each is also an address, so each asks who calls."""

    def __init__(self, site: Site, components: Components) -> None:
        self._site = site
        self._components = components
        self._lists = client.ModelLists(site.engine, site.answers)
        self._preview_mail = _mailbox("preview", "fill")
        self._launch_mail = _mailbox("launched", "launch")

    def attach(self) -> None:
        """Listen to every field, and to what ``ui/new.js`` asks for."""
        fields = list(self._components.values())
        gr.on(
            [_edited(field) for field in fields],
            self.refresh,
            inputs=fields,
            outputs=[self._preview_mail],
            trigger_mode="always_last",
            queue=False,
            show_progress="hidden",
            api_visibility="private",
        )
        self._preview_mail.fill(
            self.fill,
            inputs=fields,
            outputs=[self._preview_mail, *fields],
            trigger_mode="always_last",
            queue=False,
            show_progress="hidden",
            api_visibility="private",
        )
        self._launch_mail.launch(
            self.launch,
            inputs=fields,
            outputs=[self._launch_mail],
            trigger_mode="once",
            queue=False,
            show_progress="hidden",
            api_visibility="private",
        )

    def refresh(self, request: gr.Request, *shown: Value | None) -> Answer:
        """After any change: what the form would give, or what is wrong with it."""
        of_gradio(request)
        return self._look(self._values(shown))

    def fill(self, event: gr.EventData, request: gr.Request, *shown: Value | None) -> list[Any]:
        """Fill the form from a preset, a run or YAML, or only look at it as it is."""
        of_gradio(request)
        values = self._values(shown)
        source = event._data if isinstance(event._data, dict) else {}
        config, refusal = None, None
        try:
            config = config_from(self._site.engine, source)
        except ConfigError as error:
            refusal = {"source": next(iter(source)), "message": str(error)}
        if config is not None:
            values = values_of(config) | {SEEDS_KEY: values[SEEDS_KEY]}
        updates = [gr.skip() if config is None else values[key] for key in self._components]
        told = {"refusal": refusal} if source else {}
        return [self._look(values) | told, *updates]

    def launch(self, event: gr.EventData, request: gr.Request, *shown: Value | None) -> Answer:
        """Submit the form."""
        try:
            person = of_gradio(request)
        except gr.Error as error:
            return _mail({"runs": [], "message": error.message, "problems": {}})
        page = str(event._data)[:100]
        values, lists = self._values(shown), self._lists
        site = self._site
        answer = launch(site.engine, site.settings, values, person=person, page=page, lists=lists)
        return _mail(answer)

    def _look(self, values: Values) -> Answer:
        engine, lists = self._site.engine, self._lists
        budget = {"unit": values["budget"], "others": budget_texts(values, lists)}
        filled = read_form(values, engine, lists)
        beside = {
            "budget": budget,
            "targets": targets_shown(values, lists),
            "chosen": chosen(values),
        }
        return _mail(preview(engine, filled, self._site.settings) | beside)

    def _values(self, shown: Sequence[Value | None]) -> dict[str, Value]:
        pairs = zip(self._components, shown, strict=True)
        return {key: "" if value is None else value for key, value in pairs}


def _mailbox(receiver: str, question: str) -> gr.HTML:
    """An invisible component: JavaScript asks by its event and receives what it is set to."""
    return gr.HTML(
        None,
        js_on_load=(
            f"import('/ui/new.js').then((page) => page.connect('{receiver}', "
            f"(data) => trigger('{question}', data), "
            "(receive) => watch('value', () => receive(props.value))));"
        ),
        html_template="",
        apply_default_css=False,
        visible="hidden",
        elem_id=f"mail-{receiver}",
    )


def _mail(answer: Answer) -> Answer:
    # Equal answers must arrive too: a component that is set to what it is tells nobody.
    return answer | {"id": uuid4().hex}


def _edited(component: FormComponent) -> Callable[..., Any]:
    """The event of an edit."""
    # A text box tells of input at key presses alone, which leaves out what is pasted or deleted.
    name = "change" if isinstance(component, gr.Textbox) else "input"
    listener: Callable[..., Any] = getattr(component, name)
    return listener


PAGE = Page("New run", "/new", build)
