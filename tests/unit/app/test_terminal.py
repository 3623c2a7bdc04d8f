"""How the command line speaks."""

import json

import numpy as np
import pandas as pd
import pytest

from rankscope.app.terminal import count, percent, print_json, print_table, records


def test_fractions_and_numbers_as_people_write_them() -> None:
    assert [percent(x) for x in (0.5, 0.66666, 0, 1, None)] == [
        "50.0 %",
        "66.7 %",
        "0.0 %",
        "100.0 %",
        "–",
    ]
    assert [count(x) for x in (0, 13056, 13056.9, None)] == ["0", "13,056", "13,056", "–"]


def test_missing_values_of_a_table_are_none() -> None:
    table = pd.DataFrame({"a": [1.5, np.nan], "b": pd.Series([None, "x"], dtype=object), 3: [1, 2]})
    assert records(table) == [{"a": 1.5, "b": None, "3": 1}, {"a": None, "b": "x", "3": 2}]


def test_an_empty_table_has_no_records() -> None:
    assert records(pd.DataFrame({"a": []})) == []
    assert records(pd.DataFrame()) == []


def test_json_is_one_line_however_long(capsys: pytest.CaptureFixture[str]) -> None:
    answer = {"text": "word " * 200 + "[red]\n", "numbers": list(range(50))}
    print_json(answer)
    said = capsys.readouterr().out
    assert said.count("\n") == 1
    assert json.loads(said) == answer


def test_columns_of_figures_are_aligned_to_the_right(capsys: pytest.CaptureFixture[str]) -> None:
    print_table("Title", ["name", "size"], [["a", "1"], ["bcd", "1,000"], ["e", "–"]])
    title, head, *rows = capsys.readouterr().out.splitlines()
    assert title.strip() == "Title"
    assert {len(row) for row in (head, *rows)} == {len(head)}
    assert [row[:4].strip() for row in rows] == ["a", "bcd", "e"]
    assert [row.endswith(end) for row, end in zip(rows, ("   1", "1,000", "  –"), strict=True)] == [
        True,
        True,
        True,
    ]


def test_brackets_in_a_title_or_cell_are_no_markup(capsys: pytest.CaptureFixture[str]) -> None:
    print_table("Run [red]", ["name"], [["[bold]loud[/bold]"], ["[/b]"]])
    said = capsys.readouterr().out
    assert [line.strip() for line in said.splitlines()] == [
        "Run [red]",
        "name",
        "[bold]loud[/bold]",
        "[/b]",
    ]
