"""Splitting a JSON array that comes in chunks."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rankscope.models.data.dialogue import Unfit
from rankscope.models.data.files.json_text import ArrayElements, TooLong, parse_object

TEXTS = st.text('aé"\\[]{},:\n\t \u2028\N{GRINNING FACE}', max_size=8)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=10,
)


def in_chunks(text: bytes, size: int) -> list[bytes]:
    return [text[at : at + size] for at in range(0, len(text), size)]


def elements(text: str | bytes, size: int = 3, max_bytes: int = 10_000) -> ArrayElements:
    encoded = text.encode() if isinstance(text, str) else text
    return ArrayElements(in_chunks(encoded, size), max_bytes)


def parsed(found: ArrayElements) -> list[Any]:
    return [json.loads(element) for element in found if isinstance(element, bytes)]


@settings(deadline=None)
@given(st.lists(JSON, max_size=5), st.integers(1, 40), st.sampled_from([None, 1]), st.booleans())
def test_any_array_splits_as_json_reads_it(
    rows: list[Any], size: int, indent: int | None, ascii_only: bool
) -> None:
    text = json.dumps(rows, indent=indent, ensure_ascii=ascii_only)
    found = elements(text, size)
    assert parsed(found) == rows
    assert found.end == "closed"


@settings(deadline=None)
@given(st.lists(JSON, min_size=1, max_size=4), st.integers(1, 40), st.data())
def test_what_stands_before_a_cut_is_whole(rows: list[Any], size: int, data: st.DataObject) -> None:
    text = json.dumps(rows).encode()
    found = elements(text[: data.draw(st.integers(1, len(text) - 1))], size)
    whole = parsed(found)
    assert whole == rows[: len(whole)]
    assert found.end == "cut"


@settings(deadline=None)
@given(st.binary(max_size=40), st.integers(1, 10))
def test_no_bytes_at_all_raise_anything_but_unfit(noise: bytes, size: int) -> None:
    found = elements(b"[" + noise, size, max_bytes=8)
    for element in found:
        assert isinstance(element, TooLong) or len(element) <= 8


@pytest.mark.parametrize(
    ("text", "expected", "end"),
    [
        (" [ ] ", [], "closed"),
        ("[1,]", ["1", ""], "closed"),
        ("[,]", ["", ""], "closed"),
        ('["a]", "b\\"]"]\n', ['"a]"', '"b\\"]"'], "closed"),
        ("[{'a': 1}, {\"b\": 2,}, {}]", ["{'a': 1}", '{"b": 2,}', "{}"], "closed"),
        ("[1}, 2]", ["1}", "2"], "closed"),
        ("[1][2]", ["1"], "more"),
        ("[[1, 2}, 3", ["[1, 2}"], "cut"),
        ('[1, "open, 2]', ["1"], "cut"),
    ],
)
@pytest.mark.parametrize("size", [1, 2, 100])
def test_an_element_that_is_no_json_leaves_its_neighbours_whole(
    text: str, expected: list[str], end: str, size: int
) -> None:
    found = elements(text, size)
    assert [element.decode() for element in found if isinstance(element, bytes)] == expected
    assert found.end == end


def test_a_cut_array_keeps_what_is_left_for_the_message() -> None:
    found = elements('[1, {"image": "coco/')
    assert list(found) == [b"1"]
    assert found.rest == b'{"image": "coco/'


@pytest.mark.parametrize("size", [1, 7, 100])
def test_an_element_that_is_too_long_is_passed_over(size: int) -> None:
    text = json.dumps(["a", "b" * 50, "c"])
    first, second, third = elements(text, size, max_bytes=20)
    assert (first, third) == (b'"a"', b'"c"')
    assert isinstance(second, TooLong)


def test_a_long_element_is_not_kept_in_memory() -> None:
    found = elements("[" + "[" * 5_000 + '"' + "x" * 50_000, size=1_000, max_bytes=2_000)
    assert list(found) == []
    assert len(found.rest) <= 3_000


@pytest.mark.parametrize("text", ["", "  ", "{}", "null", "\ufeff[1]"])
def test_what_begins_with_no_bracket_is_refused(text: str) -> None:
    with pytest.raises(Unfit, match=r"must begin with \[, got .*; write the rows as one array"):
        list(elements(text))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"{'a': 1}", r"must be JSON, got .*Expecting property name.*; mend or remove it"),
        (b"", "must be JSON, got ''"),
        (b"[1]", r"must be an object, got list of 1; write it as \{\.\.\.\}"),
        (b'{"a": "\xe9"}', "must be UTF-8, got byte 0xe9 at 7; save the file as UTF-8"),
        (b"[" * 100_000, "must be JSON"),
        (b'{"a": 1' + b"0" * 5_000 + b"}", "must be JSON"),
    ],
)
def test_a_row_that_is_no_object_is_refused(text: bytes, message: str) -> None:
    with pytest.raises(Unfit, match=message):
        parse_object(text)
