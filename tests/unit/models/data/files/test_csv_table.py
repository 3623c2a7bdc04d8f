"""CSV and TSV files."""

from pathlib import Path

import pytest

from rankscope.models.data.dialogue import Unfit
from rankscope.models.data.files.contract import BrokenRow, Row
from rankscope.models.data.files.csv_table import CsvTable
from tests.unit.models.data.files.made import put


def rows_of(folder: Path, content: str | bytes) -> list[Row | BrokenRow]:
    return list(CsvTable(put(folder, "a.csv", content), "a.csv").rows())


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_the_delimiter_is_that_of_the_header(tmp_path: Path, delimiter: str) -> None:
    content = f'question{delimiter}answer\n"A,;\tb?"{delimiter}yes\n'
    assert rows_of(tmp_path, content) == [Row(1, {"question": "A,;\tb?", "answer": "yes"})]


def test_quotes_keep_line_breaks_and_a_mark_of_byte_order_is_no_name(tmp_path: Path) -> None:
    content = '\ufeffq,a\r\n"two\r\nlines ""quoted""",yes\r\n\r\nlast,no\r\n'
    assert rows_of(tmp_path, content) == [
        Row(1, {"q": 'two\r\nlines "quoted"', "a": "yes"}),
        Row(3, {"q": "last", "a": "no"}),
    ]


def test_broken_rows_cost_only_themselves(tmp_path: Path) -> None:
    content = 'q,a\none,1\ntwo,2,too many\nthr\xe9e,3\n"four" x,4\nfive,5\n"open,6'
    rows = rows_of(tmp_path, content.encode("latin1"))
    assert [(row.number, row.record["a"]) for row in rows if isinstance(row, Row)] == [
        (1, "1"),
        (5, "5"),
    ]
    remedy = "mend its quotes; cells of more than 131,072 characters need JSON lines"
    assert [str(row) for row in rows if isinstance(row, BrokenRow)] == [
        "a.csv row 2: a row must have 2 cells, got 3; put cells with delimiters or line breaks in "
        "quotes",
        "a.csv row 3: a row must be UTF-8, got bytes of another encoding; save the file as UTF-8",
        f"a.csv row 4: a row must be CSV, got ',' expected after '\"'; {remedy}",
        f"a.csv row 6: a row must be CSV, got unexpected end of data; {remedy}",
    ]


@pytest.mark.parametrize("content", ["", "\n", ",\n", "q,q\n1,2\n"])
def test_a_table_without_distinct_names_is_refused(tmp_path: Path, content: str) -> None:
    with pytest.raises(Unfit, match="must begin with a line of distinct column names, got "):
        rows_of(tmp_path, content)


def test_a_cell_beyond_the_readers_limit_is_one_broken_row(tmp_path: Path) -> None:
    rows = rows_of(tmp_path, "q,a\n" + "x" * 200_000 + ",1\nlast,2\n")
    assert isinstance(rows[0], BrokenRow)
    assert rows[-1] == Row(2, {"q": "last", "a": "2"})
