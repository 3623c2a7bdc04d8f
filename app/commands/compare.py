"""``rankscope compare``: one row per configuration, seeds pooled, differences paired."""

from typing import Annotated, Literal

import typer

from rankscope.app.comparing.table import comparison_json, score_table, table_text
from rankscope.app.store import open_store
from rankscope.app.terminal import err, out, print_json, print_table
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
        print_json(comparison_json(compared))
        return
    if compared.num_open:
        err.print(f"warning: {compared.num_open} of {len(run_ids)} runs have not ended")
    for warning in compared.warnings:
        err.print(f"warning: {warning}", markup=False)
    scores = score_table(compared)
    if style != "table":
        out.print(table_text(scores, style), markup=False)
        return
    title = f"Accuracy on test, 95 % intervals; baseline {compared.baseline}"
    print_table(title, list(scores.columns), scores.to_numpy().tolist())
    if not compared.differences.empty:
        shown = compared.differences.reset_index().astype(str)
        out.print()
        print_table("What differs", list(shown.columns), shown.to_numpy().tolist())
