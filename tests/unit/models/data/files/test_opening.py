"""From what a person says about their data to data that can be read."""

from pathlib import Path
from typing import Any

import pytest

from rankscope.models.data.dialogue import Unfit
from tests.unit.models.data.files.made import (
    asked,
    good,
    opened,
    photo,
    put,
    put_csv,
    put_json,
    put_lines,
)

ROW = {"question": "What?", "answer": "Red.", "image": "a.png"}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    put(tmp_path, "a.png", photo())
    return tmp_path


def test_the_same_rows_read_alike_from_every_text_file(root: Path) -> None:
    rows = [ROW, {**ROW, "question": "Again?"}]
    put_json(root, "rows.json", rows)
    put_lines(root, "rows.jsonl", rows)
    put_lines(root, "lines.json", rows)
    put_lines(root, "rows.NDJSON", rows)
    put_csv(root, "rows.csv", rows)
    read = [
        [(example.key, example.turns) for example in good(opened(root, name))]
        for name in ("rows.json", "rows.jsonl", "lines.json", "rows.NDJSON", "rows.csv")
    ]
    assert all(one == read[0] for one in read)
    assert [key for key, _ in read[0]] == ["1", "2"]


def test_a_pattern_reads_its_files_by_name_with_keys_of_their_own(root: Path) -> None:
    put_lines(root, "shards/train-2.jsonl", [ROW])
    put_lines(root, "shards/train-1.jsonl", [ROW, ROW])
    put_lines(root, "shards/test-1.jsonl", [ROW])
    put(root, "shards/a.png", photo())
    examples = good(opened(root, "shards/train-*.jsonl"))
    assert [(example.file, example.row, example.key) for example in examples] == [
        ("shards/train-1.jsonl", 1, "1:1"),
        ("shards/train-1.jsonl", 2, "1:2"),
        ("shards/train-2.jsonl", 1, "2:1"),
    ]
    with pytest.raises(Unfit, match=r"a pattern must match a file, got 'shards/no-\*\.jsonl'"):
        opened(root, "shards/no-*.jsonl")


def test_pictures_are_looked_for_beside_the_file_or_in_the_named_folder(root: Path) -> None:
    put_json(root, "lists/rows.json", [ROW])
    put(root, "lists/a.png", photo("blue"))
    put(root, "photos/2020/a.png", photo("green"))
    (beside,) = good(opened(root, "lists/rows.json"))
    (named,) = good(opened(root, "lists/rows.json", image_root="photos/2020"))
    assert beside.pictures[0].open().getpixel((0, 0)) == (0, 0, 255)
    assert named.pictures[0].open().getpixel((0, 0)) == (0, 128, 0)
    with pytest.raises(Unfit, match="must exist, got 'nowhere'"):
        opened(root, "lists/rows.json", image_root="nowhere")


def test_the_format_is_that_of_the_first_good_row_or_the_one_named(root: Path) -> None:
    put(root, "rows.jsonl", '{"broken\n[]\n{"messages": [{"role": "user"}], "question": 1}\n')
    assert opened(root, "rows.jsonl").format.name == "messages"
    assert opened(root, "rows.jsonl", format="table").format.name == "table"
    put_json(root, "plain.json", [asked("Hello.", "Hi.")])
    assert opened(root, "plain.json").format.name == "sharegpt"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.json", "[]", r"^a\.json: data must have a row that can be read, got no row; fill"),
        ("a.jsonl", "{", r"got broken rows; mend it, first a\.jsonl row 1: a row must be JSON"),
        ("a.json", "", r"^a\.json: a JSON array must begin with \[, got ''"),
        ("a.json", '{\n"data": []}', r"^a\.json: a JSON file must be an array of rows, or have a"),
        ("a.json", '[{"x": 1, "y": 2}]', r"^a\.json, first row: rows must have conv.*, got x, y;"),
        ("a.xlsx", "PK", r"must end with one of \.json, .*, got '\.xlsx'; convert it"),
        ("a", "x", "must end with one of .*, got 'a'"),
        ("a.csv", "", r"^a\.csv: a table must begin with a line of distinct column names"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_with_its_name(
    root: Path, name: str, content: str, message: str
) -> None:
    put(root, name, content)
    with pytest.raises(Unfit, match=message):
        opened(root, name)


def test_a_path_over_a_link_is_refused(
    root: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    outside = tmp_path_factory.mktemp("outside")
    put_json(outside, "rows.json", [ROW])
    (root / "link").symlink_to(outside)
    (root / "link.json").symlink_to(outside / "rows.json")
    for path in ("link/rows.json", "link.json", "link", "link/*.json", "lin*.json"):
        with pytest.raises(Unfit, match="must not go over symbolic links"):
            opened(root, path)
    put_json(root, "rows.json", [ROW])
    with pytest.raises(Unfit, match="must not go over symbolic links"):
        opened(root, "rows.json", image_root="link")


@pytest.mark.parametrize("escape", ["../a.png", "/etc/passwd", "sub/../../a.png", "link/a.png"])
def test_a_picture_outside_the_image_root_is_a_broken_row(root: Path, escape: str) -> None:
    put(root, "in/ok.png", photo())
    (root / "in" / "link").symlink_to(root)
    rows: list[dict[str, Any]] = [{**ROW, "image": escape}, {**ROW, "image": "ok.png"}]
    put_json(root, "rows.json", rows)
    first, second = opened(root, "rows.json", image_root="in").examples()
    assert "a path must" in str(first)
    assert "a path must" not in str(second)
