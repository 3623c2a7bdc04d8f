"""Rows of files: what is refused, and how."""

import os
from pathlib import Path

import pytest

from rankscope.models.benchmarks.rows import Row, read_json, read_jsonl

ROW = Row(
    "file line 1", {"text": "word", "number": 3, "flag": True, "list": ["a", 1], "none": None}
)


def test_values_of_the_wrong_type_are_refused_with_place_value_and_remedy() -> None:
    remedy = "take the official file that docs/benchmarks.md names"
    for read, message in (
        (lambda: ROW.text("number"), "number must be text, got 3"),
        (lambda: ROW.text("none"), "none must be text, got None"),
        (lambda: ROW.text("absent"), "must have absent, got only text, number, flag, list, none"),
        (lambda: ROW.whole("text"), "text must be a whole number, got 'word'"),
        (lambda: ROW.name("flag"), "flag must be a whole number, got True"),
        (lambda: ROW.texts("list"), "list must be a list of texts, got ['a', 1]"),
        (lambda: ROW.rows("list"), "list 1: must be a JSON object, got 'a'"),
        (lambda: ROW.rows("text"), "text must be a list, got 'word'"),
        (lambda: ROW.row("text"), "text: must be a JSON object, got 'word'"),
    ):
        with pytest.raises(ValueError, match=r"^file line 1") as refused:
            read()
        assert message in str(refused.value)
        assert str(refused.value).endswith(remedy)


def test_ids_may_be_numbers() -> None:
    assert (ROW.name("number"), ROW.name("text")) == ("3", "word")


def test_long_values_are_shortened() -> None:
    with pytest.raises(ValueError, match=r"'x{76}\.\.\.;") as refused:
        Row("file", {"key": "x" * 999}).whole("key")
    assert len(str(refused.value)) < 200


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"a": 1}\n{"a": ', r"line 2: must be JSON .* cut off"),
        (b'{"a": 1}\n\n[1]\n', r"line 3: must be a JSON object, got \[1\]"),
        (b'{"a": 1}\n{"a": "\xff"}', r"line 2: must be UTF-8, got byte 0xff at 7"),
        (b"[" * 100_000, r"line 1: must be JSON"),
        (b'{"a": ' + b"1" * 5_000 + b"}", r"line 1: must be JSON"),
    ],
)
def test_broken_lines_are_named(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message):
        list(read_jsonl(path))


def test_a_folder_and_a_pipe_that_never_ends_are_no_files(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe"):
        with pytest.raises(ValueError, match="must be a file, and is none; check the path"):
            read_json(path)
