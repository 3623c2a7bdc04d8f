"""JSON files."""

from pathlib import Path

import pytest

from rankscope.models.data.dialogue import Unfit
from rankscope.models.data.files.contract import BrokenRow, Row, Source
from rankscope.models.data.files.json_files import JsonArray, JsonLines
from tests.unit.models.data.files.made import put


def array(folder: Path, content: str | bytes, max_row_bytes: int = 1_000) -> JsonArray:
    return JsonArray(put(folder, "a.json", content), "a.json", max_row_bytes)


def lines(folder: Path, content: str | bytes, max_row_bytes: int = 1_000) -> JsonLines:
    return JsonLines(put(folder, "a.jsonl", content), "a.jsonl", max_row_bytes)


def numbers(source: Source) -> list[int]:
    """Row numbers; those of broken rows negative."""
    return [row.number if isinstance(row, Row) else -row.row for row in source.rows()]


def only_broken(source: Source) -> BrokenRow:
    (row,) = (row for row in source.rows() if isinstance(row, BrokenRow))
    return row


def test_rows_are_counted_from_one_and_may_be_read_again(tmp_path: Path) -> None:
    source = array(tmp_path, '[{"a": 1}, {"a": 2}]')
    assert list(source.rows()) == list(source.rows()) == [Row(1, {"a": 1}), Row(2, {"a": 2})]


def test_a_broken_element_costs_only_itself(tmp_path: Path) -> None:
    source = array(tmp_path, '[{"a": 1}, {"a": 2,}, 3, {"a": "\xe9"}, {"a": 5}]'.encode("latin1"))
    assert numbers(source) == [1, -2, -3, -4, 5]


def test_a_truncated_array_ends_with_one_broken_row(tmp_path: Path) -> None:
    source = array(tmp_path, '[{"a": 1}, {"a": 2}, {"a": "coco/0000')
    assert numbers(source) == [1, 2, -3]
    assert str(only_broken(source)) == (
        'a.json row 3: the array must end with ], got \'{"a": "coco/0000\' at the end; '
        "fetch the whole file"
    )


def test_what_follows_an_array_is_told(tmp_path: Path) -> None:
    source = array(tmp_path, '[{"a": 1}]\n[{"a": 2}]')
    assert numbers(source) == [1, -2]
    assert "nothing may follow the array" in only_broken(source).rule


def test_a_byte_order_mark_is_passed_over(tmp_path: Path) -> None:
    assert numbers(array(tmp_path, "\ufeff[{}]")) == [1]
    assert numbers(lines(tmp_path, "\ufeff{}\n{}")) == [1, 2]


def test_another_encoding_is_refused_by_name(tmp_path: Path) -> None:
    for source in (
        array(tmp_path, "[{}]".encode("utf-16")),
        lines(tmp_path, "{}".encode("utf-16")),
    ):
        with pytest.raises(Unfit, match="must be UTF-8, got a mark of UTF-16 or UTF-32; save it"):
            list(source.rows())


def test_a_row_number_of_json_lines_is_the_line_that_an_editor_shows(tmp_path: Path) -> None:
    source = lines(tmp_path, '{"a": 1}\n\n{"a": }\r\n  {"a": 4}  \n{"a": 5')
    assert numbers(source) == [1, -3, 4, -5]


def test_a_line_that_is_too_long_is_passed_over(tmp_path: Path) -> None:
    long = '{"a": "' + "x" * 500 + '"}'
    for source in (
        lines(tmp_path, f'{{"a": 1}}\n{long}\n{{"a": 3}}\n{long}', max_row_bytes=100),
        array(tmp_path, f'[{{"a": 1}}, {long}, {{"a": 3}}, {long}]', max_row_bytes=100),
    ):
        assert numbers(source) == [1, -2, 3, -4]
        rows = [row for row in source.rows() if isinstance(row, BrokenRow)]
        assert "must not exceed 100 bytes" in rows[0].rule
        assert "raise limits.max_row_bytes" in rows[0].remedy


def test_a_line_of_exactly_the_limit_is_read(tmp_path: Path) -> None:
    content = '{"a": "12345"}'
    assert numbers(lines(tmp_path, content + "\n" + content, len(content) + 1)) == [1, 2]
    assert numbers(array(tmp_path, f"[{content}]", len(content))) == [1]
    assert numbers(array(tmp_path, f"[{content}]", len(content) - 1)) == [-1]


def test_a_file_that_may_not_be_read_is_named_with_the_reason(tmp_path: Path) -> None:
    folder = tmp_path / "a.json"
    folder.mkdir()
    with pytest.raises(Unfit, match="must be readable, got Is a directory; check its permissions"):
        list(JsonArray(folder, "a.json", 10).rows())
