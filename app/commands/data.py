"""``rankscope data``: what a model would see of a data set, and which rows are broken."""

from pathlib import Path
from typing import Annotated

import typer

from rankscope.app.options import AsJson, Overrides
from rankscope.app.terminal import count, out, print_json
from rankscope.models.config import RunConfig
from rankscope.models.reading import load_config, overridden, parse_config
from rankscope.tasks import client
from rankscope.tasks.client import DataPreview

_CONFIGS = (".yaml", ".yml")
_BAR_CHARS = 40
_MAX_CHARS = 2000


def data(
    what: Annotated[
        str,
        typer.Argument(
            metavar="CONFIG.yaml|PATH",
            help="A run's configuration, or a file, folder or pattern below the data root.",
        ),
    ],
    overrides: Overrides = None,
    num_rows: Annotated[int, typer.Option("--rows", min=0, max=6, help="Rows to print.")] = 2,
    as_json: AsJson = False,
) -> None:
    """Show rows in the model's tokens, what is masked from the loss, lengths, and broken rows."""
    preview = client.preview_data(_config(what, overrides))
    if as_json:
        print_json(preview.model_dump(mode="json"))
        return
    if preview.report is not None:
        out.print(preview.report.as_text(), markup=False)
    _print_lengths(preview)
    _print_rows(preview, num_rows)


def _config(what: str, overrides: list[str] | None) -> RunConfig:
    if Path(what).suffix in _CONFIGS:
        return load_config(Path(what), overrides)
    raw = {"data": {"kind": "files", "path": what}}
    return parse_config(overridden(raw, overrides))


def _print_lengths(preview: DataPreview) -> None:
    lengths = preview.lengths
    if lengths is None:
        out.print(f"\nno tokens: {preview.tokens_problem}", markup=False)
        return
    out.print(f"\ntokens of the first {count(lengths.num_rows)} rows, pictures included")
    for title, quantiles in (("a row", lengths.tokens), ("scored in a row", lengths.scored)):
        if quantiles is not None:
            out.print(f"{title}: {quantiles}", markup=False)
    if lengths.limit_tokens is not None:
        out.print(
            f"{count(lengths.num_at_limit)} rows reach the limit of "
            f"{count(lengths.limit_tokens)} tokens, where text is cut off"
        )
    if lengths.num_refused:
        out.print(
            f"the model cannot take {count(lengths.num_refused)} rows, first: "
            f"{lengths.first_refusal}",
            markup=False,
        )
    if lengths.histogram is not None:
        edges, counts = lengths.histogram.edges, lengths.histogram.counts
        for low, high, number in zip(edges, edges[1:], counts, strict=False):
            bar = "█" * -(-_BAR_CHARS * number // max(counts))
            out.print(f"{low:>7,}-{high - 1:<7,} {bar} {count(number)}", markup=False)


def _print_rows(preview: DataPreview, num_rows: int) -> None:
    """Scored tokens stand in double brackets, for terminals without colour too."""
    if num_rows and preview.lengths is not None:
        out.print("\nfirst rows; the loss looks at what stands in ⟦ ⟧")
    for row in preview.rows[:num_rows]:
        place = f"{row.file} row {row.row}" if row.file else f"row {row.row}"
        told = f"{count(row.num_tokens)} tokens, {count(row.num_scored)} scored"
        out.print(f"\n{place}: {row.problem or told}", markup=False)
        text = "".join(
            f"⟦{one.text}⟧"
            if one.is_scored
            else f"{one.text} × {one.num_tokens} "
            if one.is_repeated
            else one.text
            for one in row.segments
        ) or "\n".join(f"{turn.role}: {turn.text}" for turn in row.turns)
        more = " ..." if len(text) > _MAX_CHARS else ""
        out.print(text[:_MAX_CHARS] + more, markup=False)
