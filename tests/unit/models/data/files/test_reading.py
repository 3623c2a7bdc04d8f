"""Reading a data set row by row."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rankscope.models.data.dialogue import Example
from rankscope.models.data.files.contract import BrokenRow
from tests.unit.models.data.files.made import asked, broken, opened, photo, put, put_json, put_lines
from tests.unit.models.data.files.test_formats_contract import LEAST, NAMES, VALUES


def test_a_truncated_picture_is_found_only_if_it_is_decoded(tmp_path: Path) -> None:
    put(tmp_path, "whole.jpg", photo(kind="JPEG", size=(64, 64)))
    put(tmp_path, "cut.jpg", photo(kind="JPEG", size=(64, 64))[:-100])
    rows = [asked("<image>?", "Red.", image=name) for name in ("cut.jpg", "whole.jpg")]
    put_json(tmp_path, "rows.json", rows)
    dataset = opened(tmp_path, "rows.json")
    assert all(isinstance(row, Example) for row in dataset.examples("found"))
    (row,) = broken(dataset)
    assert str(row).startswith(
        "rows.json row 1: a picture must be whole and readable, got cut.jpg: "
    )


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({"max_turns": 3}, "must not exceed 3 turns, got 4; shorten it or raise limits.max_turns"),
        ({"max_chars": 20}, "must not exceed 20 characters, got 24; shorten it or raise"),
        ({"max_pictures": 1}, "must not exceed 1 pictures, got 2; shorten it or raise limits.max"),
        ({"max_pixels": 11}, "must not exceed 11 pixels, got a.png: 4 x 3 pixels; shrink it"),
        ({"max_picture_bytes": 10}, "must not exceed 10 bytes, got a.png: "),
        (
            {"max_row_bytes": 50},
            "must not exceed 50 bytes, got more; shorten it or raise limits.ma",
        ),
    ],
)
def test_a_row_above_a_limit_is_broken(
    tmp_path: Path, limits: dict[str, int], message: str
) -> None:
    put(tmp_path, "a.png", photo())
    row = asked("<image> <image>", "Red.", images=["a.png", "a.png"])
    row["conversations"] = [*row["conversations"], *asked("?", "Yes.")["conversations"]]  # type: ignore[misc]
    put_lines(tmp_path, "rows.jsonl", [row])
    (only,) = broken(opened(tmp_path, "rows.jsonl", format="sharegpt", limits=limits))
    assert message in str(only)
    assert not broken(opened(tmp_path, "rows.jsonl"))


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.dictionaries(NAMES, VALUES, max_size=4), max_size=3))
def test_whatever_the_rows_hold_each_is_an_example_or_broken(
    tmp_path: Path, rows: list[dict[str, Any]]
) -> None:
    """In the middle of two good ones, which stay good."""
    good_row = asked("What?", "Red.")
    put_json(
        tmp_path, "rows.json", json.loads(json.dumps([good_row, *rows, good_row], default=str))
    )
    read = list(opened(tmp_path, "rows.json", format="sharegpt").examples("decoded"))
    assert len(read) == len(rows) + 2
    assert isinstance(read[0], Example)
    assert isinstance(read[-1], Example)
    assert [row.row for row in read] == list(range(1, len(read) + 1))


@pytest.mark.parametrize("name", list(LEAST))
def test_every_format_reads_good_and_broken_rows_from_a_file(tmp_path: Path, name: str) -> None:
    put(tmp_path, "a.png", photo())
    record = LEAST[name]
    missing = json.loads(json.dumps(record).replace("a.png", "missing.png"))
    put_json(tmp_path, "rows.json", [record, missing, {}, 3, record])
    dataset = opened(tmp_path, "rows.json")
    assert dataset.format.name == name
    read = list(dataset.examples("decoded"))
    assert [isinstance(row, BrokenRow) for row in read] == [False, True, True, True, False]
    assert all(row.rule and row.remedy for row in read if isinstance(row, BrokenRow))
    assert "'missing.png'" in str(read[1])


def test_deep_nesting_ends_no_reading(tmp_path: Path) -> None:
    deep = "[" * 900 + "]" * 900
    row = json.dumps(asked("What?", "Red."))[:-1] + f', "tools": {deep}}}'
    put(tmp_path, "rows.jsonl", row)
    (only,) = opened(tmp_path, "rows.jsonl").examples()
    assert isinstance(only, Example | BrokenRow)
