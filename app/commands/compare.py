"""``rankscope compare``: one row per configuration, seeds pooled, differences paired."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import pandas as pd
import typer

from rankscope.app.store import open_store
from rankscope.app.terminal import count, err, out, print_json, print_table, records
from rankscope.storage.comparison import Comparison
from rankscope.storage.comparison import compare as compare_runs
from rankscope.storage.runs import resolve_run
from rankscope.storage.settings import Settings

Format = Literal["table", "md", "csv", "latex", "json"]


def compare(
    runs: Annotated[list[str], typer.Argument(metavar="RUN...", help="Runs to put side by side.")],
    baseline: Annotated[
        str | None, typer.Option(help="A run of the configuration to compare with; the first's.")
    ] = None,
    style: Annotated[Format, typer.Option("--format", help="How to print it.")] = "table",
) -> None:
    """Compare runs: accuracy on test with 95 % intervals, paired differences, what differs."""
    engine = open_store(Settings())
    run_ids = [resolve_run(engine, run) for run in runs]
    chosen = None if baseline is None else resolve_run(engine, baseline)
    compared = compare_runs(engine, run_ids, baseline=chosen)
    if style == "json":
        print_json(_as_json(compared))
        return
    for warning in compared.warnings:
        err.print(f"warning: {warning}", markup=False)
    scores = _scores(compared)
    match style:
        case "table":
            title = f"Accuracy on test, 95 % intervals; baseline {compared.baseline}"
            print_table(title, list(scores.columns), scores.to_numpy().tolist())
            if not compared.differences.empty:
                shown = compared.differences.reset_index().astype(str)
                out.print()
                print_table("What differs", list(shown.columns), shown.to_numpy().tolist())
        case "md":
            out.print(_markdown(scores), markup=False)
        case "csv":
            out.print(scores.to_csv(index=False).rstrip("\n"), markup=False)
        case "latex":
            out.print(_latex(scores), markup=False)


def _scores(compared: Comparison) -> pd.DataFrame:
    """The main table in words: one row per configuration."""
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


def _interval(row: Mapping[str, Any], value: str) -> str:
    if row[value] is None:
        return "–"
    return f"{100 * row[value]:.1f} [{100 * row['low']:.1f}, {100 * row['high']:.1f}]"


def _markdown(table: pd.DataFrame) -> str:
    lines = [list(table.columns), ["---"] * len(table.columns), *table.to_numpy().tolist()]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


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


def _as_json(compared: Comparison) -> dict[str, Any]:
    return {
        "baseline": compared.baseline,
        "rows": records(compared.rows),
        "paired": records(compared.paired),
        "differences": compared.differences.to_dict("index"),
        "warnings": list(compared.warnings),
    }
