"""An evaluation's figures as text, for commands."""

from rankscope.app.shown_evaluations import evaluation_row
from rankscope.app.terminal import count, out, percent, print_json, print_table
from rankscope.storage.evaluations import EvaluationRecord

POINTS = ("perception", "cognition", "total", "score")
"""Metrics that are points and no fractions."""


def tell(evaluation: EvaluationRecord, *, as_json: bool) -> None:
    """The evaluation as it stands."""
    if as_json:
        print_json(evaluation_row(evaluation))
    else:
        _print(evaluation)


def _print(evaluation: EvaluationRecord) -> None:
    reason = f": {evaluation.status_reason}" if evaluation.status_reason else ""
    out.print(
        f"{evaluation.id} {evaluation.benchmark} of {evaluation.title}, {evaluation.status}{reason}"
        f", {count(evaluation.num_answered)} of {count(evaluation.num_items)} items",
        markup=False,
    )
    score = evaluation.score
    if score is None:
        return
    rows = [
        [name, shown(name, value), _interval(name, score["intervals"].get(name))]
        for name, value in score["metrics"].items()
    ]
    print_table("", ["metric", "value", "95 % over items"], rows)
    names = list(dict.fromkeys(name for found in score["by_category"].values() for name in found))
    print_table(
        "",
        ["category", *names],
        [
            [category, *(shown(name, found.get(name)) for name in names)]
            for category, found in score["by_category"].items()
        ],
    )
    settings = [f"{name}: {value}" for name, value in score["settings"].items()]
    for note in [*settings, *score["notes"]]:
        out.print(note, markup=False)


def shown(name: str, value: float | None) -> str:
    """A metric as people read it."""
    if value is None:
        return "–"
    if name == "items":
        return count(value)
    if name in POINTS:
        return f"{value:,.1f}"
    return f"{value:.1f} %" if name.endswith("_percent") else percent(value)


def _interval(name: str, bounds: list[float] | None) -> str:
    if bounds is None:
        return ""
    low, high = (shown(name, bound) for bound in bounds)
    return f"{low.removesuffix(' %')} to {high}"
