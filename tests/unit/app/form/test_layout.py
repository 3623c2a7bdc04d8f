"""The form in Gradio: complete, labelled, and hiding only kinds not chosen."""

import asyncio

import gradio as gr
import pytest

from rankscope.app.form.components import component_of, element_id
from rankscope.app.form.fields import FormField, fields_in, keys_in
from rankscope.app.form.layout import FormLayout, style_of_choices
from rankscope.app.form.run_form import run_form
from rankscope.app.form.values import values_of
from rankscope.models.presets import preset


@pytest.fixture(scope="module")
def layout() -> FormLayout:
    # Outside a running loop Gradio opens one and never closes it.
    return asyncio.run(drawn())


async def drawn() -> FormLayout:
    layout = FormLayout(values_of(preset("demo").config))
    with gr.Blocks():
        layout.what()
        layout.trained()
        layout.budget()
        layout.scheduler()
        layout.training()
        layout.seed()
        layout.naming()
        layout.rest()
    return layout


def test_every_field_has_exactly_one_place(layout: FormLayout) -> None:
    assert sorted(layout.components) == sorted(keys_in(run_form()))


def test_every_component_is_labelled_and_found_by_its_key(layout: FormLayout) -> None:
    for key, component in layout.components.items():
        assert component.label, key
        assert component.elem_id == element_id(key)
    ids = [component.elem_id for component in layout.components.values()]
    assert len(set(ids)) == len(ids)


def test_components_show_the_configuration(layout: FormLayout) -> None:
    values = values_of(preset("demo").config)
    shown = {key: component.value for key, component in layout.components.items()}
    assert shown == values


def test_fields_of_every_kind_are_hidden_while_another_is_chosen() -> None:
    style = style_of_choices(run_form())
    assert 'input[value="hydra"]:checked)) .field-variant-scheduler-hydra' in style
    assert style.count("{") == style.count("display: none !important;")


def test_an_optional_choice_may_be_none() -> None:
    field = FormField("a.b", "b", "B", "", "", "", "one_of", ("x", "y"), True, None)
    component = component_of(field, "")
    assert isinstance(component, gr.Radio)
    assert component.choices == [("none", ""), ("x", "x"), ("y", "y")]


def test_numbers_are_typed_as_text_so_that_a_wrong_one_is_kept(layout: FormLayout) -> None:
    numbers = [field.key for field in fields_in(run_form()) if field.kind == "number"]
    assert len(numbers) > 30
    assert all(isinstance(layout.components[key], gr.Textbox) for key in numbers)
