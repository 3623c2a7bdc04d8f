"""Files in columns: Parquet, and the Arrow files that Hugging Face ``datasets`` saves to disk."""

from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType

from typing_extensions import override

from rankscope.models.data.dialogue import Unfit
from rankscope.models.data.files.contract import BrokenRow, Row, Source

_BATCH_ROWS = 64
"""Rows in memory at a time: with a picture of 1 MB in each, 64 MB."""


@dataclass(frozen=True)
class ParquetFile(Source):
    """A Parquet file, read by row group; a damaged group is one broken row and costs its rows."""

    path: Path
    name: str

    @override
    def rows(self) -> Iterator[Row | BrokenRow]:
        parquet = _pyarrow("pyarrow.parquet")
        try:
            file = parquet.ParquetFile(self.path)
        # What is damaged raises Arrow's own errors (ValueError, OSError), and old files others.
        except (ValueError, OSError, RuntimeError, NotImplementedError) as error:
            raise Unfit(
                "a Parquet file must be whole", _one_line(error), "fetch or write it anew"
            ) from error
        with file:
            number = 0
            for group in range(file.num_row_groups):
                after = number + file.metadata.row_group(group).num_rows
                try:
                    for batch in file.iter_batches(_BATCH_ROWS, row_groups=[group]):
                        for record in batch.to_pylist():
                            number += 1
                            yield Row(number, record)
                except (ValueError, OSError, RuntimeError, NotImplementedError) as error:
                    yield _damaged(error, number + 1, after, self.name)
                number = after


@dataclass(frozen=True)
class ArrowStream(Source):
    """An Arrow file in the streaming format."""

    path: Path
    name: str

    @override
    def rows(self) -> Iterator[Row | BrokenRow]:
        arrow, ipc = _pyarrow("pyarrow"), _pyarrow("pyarrow.ipc")
        number = 0
        try:
            with arrow.memory_map(str(self.path)) as file, ipc.open_stream(file) as stream:
                for batch in stream:
                    for start in range(0, batch.num_rows, _BATCH_ROWS):
                        for record in batch.slice(start, _BATCH_ROWS).to_pylist():
                            number += 1
                            yield Row(number, record)
        except (ValueError, OSError, RuntimeError, NotImplementedError) as error:
            if not number:
                raise Unfit(
                    "an Arrow file must be whole", _one_line(error), "fetch or save it anew"
                ) from error
            yield _damaged(error, number + 1, None, self.name)


def _pyarrow(module: str) -> ModuleType:
    try:
        return import_module(module)
    except ImportError as error:
        raise Unfit(
            "Parquet and Arrow files need the package pyarrow",
            "none installed",
            "run `pip install 'rankscope[data]'`",
        ) from error


def _damaged(error: Exception, first: int, last: int | None, name: str) -> BrokenRow:
    until = "the end" if last is None else f"{last:,}"
    unfit = Unfit(
        "rows must be readable together with their neighbours",
        f"rows {first:,} to {until}: {_one_line(error)}",
        "fetch or write the file anew",
    )
    return BrokenRow.of(unfit, first, name)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
