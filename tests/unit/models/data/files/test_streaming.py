"""Sets larger than memory are read row by row: what is held at a time does not grow with them."""

import json
import tracemalloc
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from rankscope.models.data.files.report import inspect
from tests.unit.models.data.files.made import asked, opened

arrow: Any = import_module("pyarrow")
parquet: Any = import_module("pyarrow.parquet")

NUM_ROWS, ROW_CHARS = 4_000, 4_000
SET_BYTES = NUM_ROWS * ROW_CHARS
HELD_BYTES = SET_BYTES // 4
"""Far less than the set, far more than the rows that are held at a time."""


def rows() -> list[dict[str, object]]:
    return [asked(f"{number} ", "x" * ROW_CHARS, image=None) for number in range(NUM_ROWS)]


def as_lines(folder: Path) -> str:
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows()))
    return "rows.jsonl"


def as_array(folder: Path) -> str:
    (folder / "rows.json").write_text(json.dumps(rows()))
    return "rows.json"


def as_table(folder: Path) -> str:
    lines = (f"{number},{'x' * ROW_CHARS}\n" for number in range(NUM_ROWS))
    (folder / "rows.csv").write_text("question,answer\n" + "".join(lines))
    return "rows.csv"


@pytest.mark.parametrize("write", [as_lines, as_array, as_table])
def test_text_files_are_read_without_being_held(
    tmp_path: Path, write: Callable[[Path], str]
) -> None:
    dataset = opened(tmp_path, write(tmp_path))
    assert (tmp_path / dataset.name).stat().st_size > SET_BYTES
    tracemalloc.start()
    try:
        number = sum(1 for _ in dataset.examples())
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert number == NUM_ROWS
    assert most < HELD_BYTES


def test_parquet_is_read_by_row_group_and_only_as_far_as_is_asked(tmp_path: Path) -> None:
    table = arrow.table(
        {
            "question": [f"{number} " for number in range(NUM_ROWS)],
            # no two are alike: a dictionary would make the file small
            "answer": [f"{number:05d}" * (ROW_CHARS // 5) for number in range(NUM_ROWS)],
        }
    )
    parquet.write_table(table, tmp_path / "rows.parquet", row_group_size=200, use_dictionary=False)
    del table
    dataset = opened(tmp_path, "rows.parquet")
    before = arrow.total_allocated_bytes()
    examples = dataset.examples()
    held = [arrow.total_allocated_bytes() - before for _ in examples]
    assert len(held) == NUM_ROWS
    assert max(held) < HELD_BYTES


def test_a_report_on_the_first_rows_reads_no_more_than_those(tmp_path: Path) -> None:
    """The file breaks off behind them, which nobody gets to see."""
    lines = [json.dumps(row) for row in rows()[:20]]
    (tmp_path / "rows.jsonl").write_text("\n".join(lines) + '\n{"cut')
    report = inspect(opened(tmp_path, "rows.jsonl"), limit=10)
    assert (report.num_rows, report.num_broken, report.is_whole) == (10, 0, False)
