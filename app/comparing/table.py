"""A comparison's main table in words, as a file of four kinds; command line and page share it."""

from collections.abc import Callable, Mapping
from typing import Any, Literal

import pandas as pd

from rankscope.app.terminal import count, records
from rankscope.storage.comparison import Comparison

TableFormat = Literal["csv", "md", "latex"]


def score_table(compared: Comparison) -> pd.DataFrame:
    """One row per configuration, every cell a text."""
    paired = {row["configuration"]: row for row in records(compared.paired)}
    rows = []
    for row in records(compared.rows):
        pair = paired.get(row["configuration"])
        rows.append(
            {
                "configuration": row["configuration"],
                "seeds": str(row["num_seeds"]),
                "items": f"{row['num_items']:,}",
                "accuracy (%)": _interval(row, "accuracy"),
                "basis": row["basis"],
                "vs baseline (points)": _interval(pair, "difference") if pair else "baseline",
                "budget": count(row["budget_params"]),
                "live at most": count(row["max_live_params"]),
            }
        )
    return pd.DataFrame(rows)


def table_text(table: pd.DataFrame, style: TableFormat) -> str:
    """The table in one of the formats, without a line break at its end."""
    return _WRITERS[style](table)


def comparison_json(compared: Comparison) -> dict[str, Any]:
    """The whole comparison as JSON can hold it."""
    return {
        "baseline": compared.baseline,
        "rows": records(compared.rows),
        "paired": records(compared.paired),
        "differences": compared.differences.to_dict("index"),
        "warnings": list(compared.warnings),
    }


def _interval(row: Mapping[str, Any], value: str) -> str:
    if row[value] is None:
        return "–"
    return f"{100 * row[value]:.1f} [{100 * row['low']:.1f}, {100 * row['high']:.1f}]"


def _csv(table: pd.DataFrame) -> str:
    return table.to_csv(index=False).rstrip("\n")


def _markdown(table: pd.DataFrame) -> str:
    def escaped(cells: list[str]) -> list[str]:
        return [cell.replace("|", r"\|") for cell in cells]

    lines = [list(table.columns), ["---"] * len(table.columns), *table.to_numpy().tolist()]
    return "\n".join("| " + " | ".join(escaped(line)) + " |" for line in lines)


def _latex(table: pd.DataFrame) -> str:
    def escaped(text: str) -> str:
        for special in "&%$#_{}":
            text = text.replace(special, f"\\{special}")
        return text.replace("–", "--")

    body = [
        " & ".join(escaped(cell) for cell in line) + r" \\" for line in table.to_numpy().tolist()
    ]
    head = " & ".join(escaped(column) for column in table.columns) + r" \\"
    lines = [rf"\begin{{tabular}}{{l{'r' * (len(table.columns) - 1)}}}", r"\hline", head, r"\hline"]
    return "\n".join([*lines, *body, r"\hline", r"\end{tabular}"])


_WRITERS: Mapping[TableFormat, Callable[[pd.DataFrame], str]] = {
    "csv": _csv,
    "md": _markdown,
    "latex": _latex,
}
