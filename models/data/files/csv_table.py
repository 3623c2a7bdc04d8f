"""CSV and TSV files with a line of column names on top."""

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from io import TextIOWrapper
from itertools import count
from pathlib import Path

from typing_extensions import override

from rankscope.models.data.dialogue import Unfit
from rankscope.models.data.files.contract import BrokenRow, Row, Source
from rankscope.models.data.files.json_files import text_file

_DELIMITERS = ",;\t"
_NOT_UTF_8 = re.compile("[\udc80-\udcff]")
"""What ``surrogateescape`` makes of bytes that are no UTF-8."""
_REMEDY = "mend its quotes; cells of more than 131,072 characters need JSON lines"


@dataclass(frozen=True)
class CsvTable(Source):
    """Rows below the line of names; the delimiter is the one that line has most of."""

    path: Path
    name: str

    @override
    def rows(self) -> Iterator[Row | BrokenRow]:
        with text_file(self.path) as file:
            # What is no UTF-8 is let through as lone surrogates, and found in its own row.
            text = TextIOWrapper(file, encoding="utf-8", errors="surrogateescape", newline="")
            header = text.readline()
            delimiter = max(_DELIMITERS, key=header.count)
            names = next(csv.reader([header], delimiter=delimiter), [])
            if not any(names) or len(set(names)) != len(names):
                raise Unfit(
                    "a table must begin with a line of distinct column names",
                    repr(header.strip()),
                    "add or mend it",
                )
            reader = csv.reader(text, delimiter=delimiter, strict=True)
            for number in count(1):
                try:
                    cells = next(reader, None)
                    if cells is None:
                        return
                    if cells:  # a blank line has none
                        yield Row(number, _record(names, cells))
                except csv.Error as error:
                    unfit = Unfit("a row must be CSV", str(error), _REMEDY)
                    yield BrokenRow.of(unfit, number, self.name)
                except Unfit as unfit:
                    yield BrokenRow.of(unfit, number, self.name)


def _record(names: list[str], cells: list[str]) -> dict[str, object]:
    if len(cells) != len(names):
        raise Unfit(
            f"a row must have {len(names)} cells",
            str(len(cells)),
            "put cells with delimiters or line breaks in quotes",
        )
    record = dict(zip(names, cells, strict=True))
    if any(map(_NOT_UTF_8.search, cells)):
        raise Unfit("a row must be UTF-8", "bytes of another encoding", "save the file as UTF-8")
    return dict(record)
