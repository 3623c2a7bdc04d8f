"""Parquet files, and Arrow files of saved data sets."""

import json
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from rankscope.models.data.dialogue import Unfit
from rankscope.models.data.files.arrow_files import ArrowStream, ParquetFile
from rankscope.models.data.files.contract import BrokenRow, Row
from tests.unit.models.data.files.made import asked, good, opened, photo, put

arrow: Any = import_module("pyarrow")
parquet: Any = import_module("pyarrow.parquet")

ROWS = [
    {"question": f"What is {n}?", "answer": n, "image": {"bytes": photo((n, 0, 0)), "path": f"{n}"}}
    for n in range(10)
]


def put_parquet(
    folder: Path, name: str, rows: list[dict[str, Any]], row_group_size: int = 3
) -> Path:
    path = folder / name
    parquet.write_table(arrow.Table.from_pylist(rows), path, row_group_size=row_group_size)
    return path


def test_pictures_in_parquet_are_bytes_beside_a_path(tmp_path: Path) -> None:
    put_parquet(tmp_path, "rows.parquet", ROWS)
    dataset = opened(tmp_path, "rows.parquet")
    assert dataset.format.name == "table"
    examples = good(dataset)
    assert [example.turns[1].text for example in examples] == [str(n) for n in range(10)]
    assert examples[7].pictures[0].open().getpixel((0, 0)) == (7, 0, 0)
    assert (examples[7].pictures[0].name, examples[7].row) == ("7", 8)


def test_paths_in_parquet_are_found_and_confined(tmp_path: Path) -> None:
    put(tmp_path, "a.png", photo())
    paths = ["a.png", "../a.png", None]
    rows = [
        {"question": "What?", "answer": "Red.", "image": {"bytes": None, "path": path}}
        for path in paths
    ]
    put_parquet(tmp_path, "rows.parquet", rows)
    first, second, third = opened(tmp_path, "rows.parquet").examples("decoded")
    assert not isinstance(first, BrokenRow)
    assert "must be relative and stay below its folder, got '../a.png'" in str(second)
    assert "must be a path, bytes, or a mapping of both" in str(third)


def test_dialogues_in_parquet_read_like_those_in_json(tmp_path: Path) -> None:
    rows = [
        asked("Hello.", "Hi.", id="1", images=None),
        {**asked("<image> <image>?", "Two.", id="2"), "images": [{"bytes": photo()}] * 2},
    ]
    put_parquet(tmp_path, "rows.parquet", rows)
    first, second = good(opened(tmp_path, "rows.parquet"))
    assert (first.pictures, len(second.pictures)) == ((), 2)


def test_messages_in_parquet_have_nothing_where_json_has_no_key(tmp_path: Path) -> None:
    parts = [{"type": "image"}, {"type": "text", "text": "What?"}]
    turns = [{"role": "user", "content": parts}]
    answer = [{"role": "assistant", "content": [{"type": "text", "text": "Red."}]}]
    put_parquet(
        tmp_path, "rows.parquet", [{"messages": turns + answer, "images": [{"bytes": photo()}]}]
    )
    (example,) = good(opened(tmp_path, "rows.parquet"))
    assert [turn.text for turn in example.turns] == ["<image>\nWhat?", "Red."]


def test_a_truncated_parquet_file_is_one_clear_error(tmp_path: Path) -> None:
    path = put_parquet(tmp_path, "rows.parquet", ROWS)
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(Unfit, match=r"^rows\.parquet: a Parquet file must be whole, got .*; fetch"):
        opened(tmp_path, "rows.parquet")
    put(tmp_path, "text.parquet", "question,answer")
    with pytest.raises(Unfit, match=r"^text\.parquet: a Parquet file must be whole, got "):
        opened(tmp_path, "text.parquet")


def test_a_damaged_group_of_rows_costs_only_itself(tmp_path: Path) -> None:
    path = put_parquet(tmp_path, "rows.parquet", ROWS)
    group = parquet.ParquetFile(path).metadata.row_group(1)
    content = bytearray(path.read_bytes())
    for column in range(group.num_columns):
        chunk = group.column(column)
        start = chunk.dictionary_page_offset or chunk.data_page_offset
        content[start : start + chunk.total_compressed_size] = b"\xff" * chunk.total_compressed_size
    path.write_bytes(content)
    rows = list(ParquetFile(path, "rows.parquet").rows())
    numbers = [row.number if isinstance(row, Row) else -row.row for row in rows]
    assert numbers == [1, 2, 3, -4, 7, 8, 9, 10]
    assert "rows 4 to 6: " in str(rows[3])


def put_stream(path: Path, rows: list[dict[str, Any]], batch_rows: int = 100) -> Path:
    table = arrow.Table.from_pylist(rows)
    with arrow.OSFile(str(path), "wb") as file, arrow.ipc.new_stream(file, table.schema) as stream:
        stream.write_table(table, max_chunksize=batch_rows)
    return path


def test_an_arrow_file_is_read_in_small_batches(tmp_path: Path) -> None:
    rows = [{"n": n} for n in range(150)]
    source = ArrowStream(put_stream(tmp_path / "a.arrow", rows), "a.arrow")
    assert list(source.rows()) == [Row(n + 1, {"n": n}) for n in range(150)]


def test_a_truncated_arrow_file_ends_with_a_broken_row(tmp_path: Path) -> None:
    path = put_stream(tmp_path / "a.arrow", [{"n": "x" * 50} for _ in range(20)], batch_rows=5)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) * 2 // 3])
    rows = list(ArrowStream(path, "a.arrow").rows())
    assert isinstance(rows[-1], BrokenRow)
    assert rows[-1].row == len(rows)
    assert rows[-1].row in (6, 11, 16)
    path.write_bytes(whole[:20])
    with pytest.raises(Unfit, match=r"an Arrow file must be whole, got .*; fetch or save it anew"):
        list(ArrowStream(path, "a.arrow").rows())


def saved(folder: Path, **state: Any) -> None:
    put_stream(folder / "data-0.arrow", ROWS[:2])
    put_stream(folder / "data-1.arrow", ROWS[2:3])
    files = [{"filename": "data-0.arrow"}, {"filename": "data-1.arrow"}]
    put(folder, "state.json", json.dumps({"_data_files": files, **state}))


def test_a_saved_data_set_is_read_in_the_order_of_its_list(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    saved(tmp_path / "set")
    examples = good(opened(tmp_path, "set"))
    assert [(example.file, example.key) for example in examples] == [
        ("set/data-0.arrow", "1:1"),
        ("set/data-0.arrow", "1:2"),
        ("set/data-1.arrow", "2:1"),
    ]


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({"_data_files": [{"filename": "../secret.arrow"}]}, "must be relative and stay below"),
        ({"_data_files": [{"filename": "none.arrow"}]}, "must exist, got 'none.arrow'"),
        ({"_data_files": [{}]}, "must list its files by name"),
        ({"_data_files": "data-0.arrow"}, "must list its files alone"),
        ({"_indices_data_files": [{"filename": "i.arrow"}]}, "must list its files alone"),
    ],
)
def test_a_saved_data_set_may_list_only_files_of_its_own(
    tmp_path: Path, state: dict[str, Any], message: str
) -> None:
    (tmp_path / "set").mkdir()
    saved(tmp_path / "set", **state)
    with pytest.raises(Unfit, match=message):
        opened(tmp_path, "set")
