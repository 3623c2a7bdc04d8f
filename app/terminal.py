"""How the command line speaks: results on stdout, progress and errors on stderr."""

import json
from collections.abc import Mapping
from typing import Any

import pandas as pd
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)


def print_json(answer: Mapping[str, Any]) -> None:
    """One JSON object as the last line of stdout, not wrapped and not coloured."""
    print(json.dumps(answer, separators=(",", ":"), default=str))  # noqa: T201


def print_table(title: str, columns: list[str], rows: list[list[str]]) -> None:
    """A table; columns of figures are aligned to the right."""
    # Text: a run's name or a planner's reason may hold brackets, which are no markup.
    table = Table(
        title=Text(title), title_justify="left", header_style="bold", box=None, pad_edge=False
    )
    for index, column in enumerate(columns):
        numeric = bool(rows) and all(_is_figure(row[index]) for row in rows)
        table.add_column(column, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    out.print(table)


def progress_bar(unit: str = "steps") -> Progress:
    """Progress with rate and time left, on stderr."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:,}/{task.total:,} " + unit),
        TimeElapsedColumn(),
        TextColumn("ETA"),
        TimeRemainingColumn(),
        console=err,
    )


def percent(fraction: float | None) -> str:
    """A fraction as percent with one decimal, or a dash."""
    return "–" if fraction is None else f"{100 * fraction:.1f} %"


def count(number: float | None) -> str:
    """A whole number with thousands separated, or a dash."""
    return "–" if number is None else f"{int(number):,}"


def records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows of a table, missing values as None."""
    columns = [str(column) for column in table.columns]
    plain = table.astype(object).where(table.notna(), None)
    return [dict(zip(columns, row, strict=True)) for row in plain.to_numpy().tolist()]


def _is_figure(text: str) -> bool:
    return bool(text) and (text[0].isdigit() or text[0] in "+-–−")
