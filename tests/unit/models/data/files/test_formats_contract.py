"""What every format promises."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rankscope.models.data.dialogue import Example, Picture, Unfit
from rankscope.models.data.files import FORMATS
from rankscope.models.data.files.contract import Format, Record, Told
from rankscope.models.data.files.fields import with_prompt
from rankscope.models.data.files.settings import Columns

COLUMNS = Columns()
LEAST: dict[str, dict[str, Any]] = {
    "llava": {
        "id": "7",
        "image": "a.png",
        "conversations": [
            {"from": "human", "value": "<image>\nWhat is it?"},
            {"from": "gpt", "value": "A cat."},
        ],
    },
    "sharegpt": {
        "id": "7",
        "images": ["a.png"],
        "conversations": [
            {"from": "human", "value": "<image>\nWhat is it?"},
            {"from": "gpt", "value": "A cat."},
        ],
    },
    "messages": {
        "id": "7",
        "messages": [
            {
                "role": "user",
                "content": [
                    {"type": "image", "image": "a.png"},
                    {"type": "text", "text": "What is it?"},
                ],
            },
            {"role": "assistant", "content": "A cat."},
        ],
    },
    "table": {"id": "7", "image": "a.png", "question": "What is it?", "answer": "A cat."},
}
"""The same example in each format."""


def test_every_format_is_shown_here_and_has_a_name_of_its_own() -> None:
    assert [known.name for known in FORMATS] == list(LEAST)


@pytest.mark.parametrize("known", FORMATS, ids=lambda known: known.name)
def test_every_format_knows_its_rows_and_reads_the_same_example(known: Format) -> None:
    record = LEAST[known.name]
    assert next(first for first in FORMATS if first.fits(record, COLUMNS)) is known
    told = known.read(record, COLUMNS)
    assert (told.key, told.pictures) == ("7", ("a.png",))
    assert [(turn.role, turn.text) for turn in told.turns] == [
        ("user", "<image>\nWhat is it?"),
        ("assistant", "A cat."),
    ]
    assert example_of(told).pictures


@pytest.mark.parametrize("known", FORMATS, ids=lambda known: known.name)
def test_a_row_without_an_id_has_no_key_and_a_number_is_one(known: Format) -> None:
    record = {name: value for name, value in LEAST[known.name].items() if name != "id"}
    assert known.read(record, COLUMNS).key == ""
    assert known.read({**record, "id": 7}, COLUMNS).key == "7"
    assert known.read({**record, "who": "x"}, Columns(key="who")).key == "x"
    with pytest.raises(Unfit, match=r"column id must hold text or whole numbers, got 0\.5; change"):
        known.read({**record, "id": 0.5}, COLUMNS)


@pytest.mark.parametrize("known", FORMATS, ids=lambda known: known.name)
def test_what_is_neither_text_nor_picture_is_refused(known: Format) -> None:
    with pytest.raises(Unfit, match="may hold pictures only, got column videos; take"):
        known.read({**LEAST[known.name], "videos": ["a.mp4"]}, COLUMNS)


@pytest.mark.parametrize("known", FORMATS, ids=lambda known: known.name)
@pytest.mark.parametrize("record", [{}, {"conversations": []}, {"messages": None}, {"a": 1}])
def test_a_row_of_nothing_is_refused(known: Format, record: Record) -> None:
    assert not known.fits(record, COLUMNS)
    with pytest.raises(Unfit):
        example_of(known.read(record, COLUMNS))


def example_of(told: Told) -> Example:
    pictures = tuple(Picture(str(name), b"") for name in told.pictures)
    return Example(told.key, 1, pictures, told.turns)


WORDS = """conversations messages from role value content type text image image_url images id
question answer system tools tool_calls function name arguments url path bytes"""
NAMES = st.sampled_from(WORDS.split())
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.sampled_from(["human", "gpt", "user", "assistant", "tool", "text", "image", "<image>", ""]),
    st.text("aé<\ud83d", max_size=5),
    st.binary(max_size=5),
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)


@settings(deadline=None)
@given(st.dictionaries(NAMES, VALUES, max_size=5))
def test_no_row_makes_a_format_raise_anything_but_unfit(record: dict[str, Any]) -> None:
    for known in FORMATS:
        known.fits(record, COLUMNS)
        try:
            told = known.read(record, COLUMNS)
        except Unfit:
            continue
        assert all(isinstance(turn.text, str) for turn in told.turns)


def test_tools_stand_in_the_system_turn() -> None:
    """As text or as objects; an empty list in text is none."""
    turns = FORMATS[1].read(LEAST["sharegpt"], COLUMNS).turns
    assert with_prompt({"system": "Be brief.", "tools": "[]"}, turns)[0].text == "Be brief."
    assert with_prompt({"tools": [{"name": "zoom"}]}, turns)[0].text == 'Tools:\n{"name": "zoom"}'
    both = with_prompt({"system": "Be brief.", "tools": "zoom(x)"}, turns)
    assert (both[0].role, both[0].text) == ("system", "Be brief.\n\nTools:\nzoom(x)")
    assert both[1:] == turns == with_prompt({"system": "", "tools": None}, turns)
    own = with_prompt({"system": "Be brief.", "tools": "zoom(x)"}, both[:1] + turns)
    assert json.dumps([turn.text for turn in own[1:]]) == json.dumps([t.text for t in turns])
    assert len(own) == len(turns) + 1
    with pytest.raises(Unfit, match="column system must hold text, got list of 1; write"):
        with_prompt({"system": ["Be brief."]}, turns)
