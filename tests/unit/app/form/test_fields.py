"""A model to come appears in the form without a change to it."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from rankscope.app.form.fields import Choice, FormField, Section, fields_in, form_of
from rankscope.app.form.parts import KEY
from rankscope.app.form.run_form import run_form


class Inner(BaseModel):
    """A section within a kind."""

    depth_steps: int = Field(1, ge=1, lt=9)


class Odd(BaseModel):
    """A kind to come, with types that no present one has.

    It has a second paragraph.
    """

    kind: Literal["odd"] = "odd"
    lists: dict[str, list[int]] = {"a": [1]}
    pairs: dict[str, int] | None = None
    mode: Literal["x", "y"] | None = None
    every_s: float = Field(2.0, gt=0, description="How often.")
    inner: Inner = Inner()


class Plain(BaseModel):
    """Another kind."""

    kind: Literal["plain"] = "plain"


class Whole(BaseModel):
    thing: Annotated[Plain | Odd, Field(discriminator="kind")] = Odd()
    lonely: Plain = Plain()


def test_a_union_becomes_a_choice_with_the_fields_of_every_kind() -> None:
    thing, lonely = form_of(Whole)
    assert isinstance(thing, Choice)
    assert (thing.discriminator, thing.default) == ("kind", "odd")
    plain, odd = thing.variants
    assert (plain.tag, plain.entries) == ("plain", ())
    assert odd.description == "A kind to come, with types that no present one has."
    lists, pairs, mode, every, inner = odd.entries
    assert isinstance(lists, FormField)
    assert (lists.key, lists.kind, lists.default) == ("thing.odd.lists", "json", {"a": [1]})
    assert isinstance(pairs, FormField)
    assert (pairs.kind, pairs.is_optional, pairs.default) == ("pairs", True, None)
    assert isinstance(mode, FormField)
    assert (mode.kind, mode.choices, mode.is_optional) == ("one_of", ("x", "y"), True)
    assert isinstance(every, FormField)
    assert (every.title, every.unit, every.bounds) == ("Every", "s", "above 0")
    assert isinstance(inner, Section)
    assert [field.key for field in fields_in(inner.entries)] == ["thing.odd.inner.depth_steps"]
    assert isinstance(lonely, Choice)
    assert [variant.tag for variant in lonely.variants] == ["plain"]


def test_every_field_of_a_run_is_described_and_titled_for_people() -> None:
    for field in fields_in(run_form()):
        # what ways there are to train a part is said once, above the parts
        assert field.description or field.key.startswith(f"{KEY}."), field.key
        assert field.title[0].isupper() or not field.title[0].isalpha(), field.key
        assert "_" not in field.title, field.key


def test_every_field_of_a_run_has_a_widget_of_its_own() -> None:
    assert [field.key for field in fields_in(run_form()) if field.kind == "json"] == []
