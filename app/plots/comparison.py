"""Curves of configurations over each other, and their rank maps on one colour scale."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

import plotly.graph_objects as go

from rankscope.app.comparing.pooling import PooledMap, PooledPoint, minus
from rankscope.app.plots.rank_map import rank_difference_map, rank_map
from rankscope.app.plots.theme import SERIES, Axis, curves

CurveKind = Literal["loss", "validation"]

_SMALLEST_SCALE = 2
_SCALES: list[int] = sorted(factor * 2**power for power in range(16) for factor in (2, 3))
"""Ends of colour scales; in wide steps, so that a live picture seldom changes its own."""
_NO_RANKS = "no ranks yet"
_OTHER_MODULES = "not the modules of the baseline, so no difference"
_BAND_OPACITY = 0.16
_DASHES = ("solid", "dash", "dot")


class _Kind(NamedTuple):
    title: str
    axis: Axis
    mode: str
    value: str


_KINDS: dict[CurveKind, _Kind] = {
    "loss": _Kind("Training loss", Axis("loss (nats per answer token)"), "lines", ".3f"),
    "validation": _Kind(
        "Accuracy on validation", Axis("accuracy", tickformat=".0%"), "lines+markers", ".1%"
    ),
}


class Curve(NamedTuple):
    """One curve: its points, and which of the series colours and dashes it has."""

    points: Sequence[PooledPoint]
    color: int
    dash: int = 0


def curve_figure(
    kind: CurveKind, drawn: Mapping[str, Curve], *, window_steps: int, num_steps: int
) -> dict[str, Any]:
    """Means as lines over bands from the lowest to the highest run.

    A line is dotted where not all of its runs have come so far.

    Args:
        kind: What is drawn.
        drawn: Curves by name, in the order of the legend.
        window_steps: Steps that a point of training loss is the mean of.
        num_steps: End of the axis.
    """
    of = _KINDS[kind]
    has_bands = any(point.num_runs > 1 for curve in drawn.values() for point in curve.points)
    title = of.title
    if kind == "loss" and window_steps > 1:
        title += f", means of {window_steps} steps"
    if has_bands:
        title += "; band from the lowest to the highest seed"
    made = curves(title, Axis("step", range=(0, num_steps)), of.axis)
    made.update_layout(height=280)
    for name, curve in drawn.items():
        color = SERIES[curve.color % len(SERIES)]
        for trace in _traces(name, curve, color, of):
            made.add_trace(trace)
    if not any(curve.points for curve in drawn.values()):
        made.update_yaxes(range=(0, 1), showticklabels=False)
        made.add_annotation(
            text="nothing recorded yet", xref="paper", yref="paper", x=0.5, y=0.5, showarrow=False
        )
    return _plain(made)


def map_figures(
    pooled: Mapping[str, PooledMap | None], baseline: str, seed: int | None
) -> dict[str, Any]:
    """Rank maps of configurations and their differences to the baseline, each kind on one scale.

    Args:
        pooled: Per configuration its ranks; None where there are none yet.
        baseline: The configuration that is taken from the others.
        seed: The one seed whose ranks these are; None for means over seeds.

    Returns:
        ``maps`` and ``differences``: configuration, figure or None, and why it is ``missing``.
    """
    highest = max((max(one.ranks_M) for one in pooled.values() if one), default=0.0)
    scale = _scale(highest, _SMALLEST_SCALE)
    reference = pooled[baseline]
    changes = {
        name: minus(one, reference) if one and reference else None
        for name, one in pooled.items()
        if name != baseline
    }
    largest = max((abs(x) for some in changes.values() if some for x in some), default=0.0)
    limit = _scale(largest, _SMALLEST_SCALE)
    return {
        "maps": [
            {
                "configuration": name,
                "figure": one and _map(name, one, scale, seed),
                "missing": None if one else _NO_RANKS,
            }
            for name, one in pooled.items()
        ],
        "differences": [
            {
                "configuration": name,
                "figure": change and _difference(name, pooled[name], change, limit, baseline),
                "missing": None if change else _why_missing(pooled[name], reference),
            }
            for name, change in changes.items()
        ],
    }


def _why_missing(one: PooledMap | None, reference: PooledMap | None) -> str:
    return _OTHER_MODULES if one and reference else _NO_RANKS


def _scale(largest: float, smallest: int) -> int:
    return next(size for size in _SCALES if size >= max(largest, smallest))


def _traces(name: str, curve: Curve, color: str, of: _Kind) -> list[go.Scatter]:
    points = list(curve.points)
    full = max((point.num_runs for point in points), default=0)
    num_full = max((i + 1 for i, point in enumerate(points) if point.num_runs == full), default=0)
    common = {"mode": of.mode, "marker": {"color": color, "size": 5}}
    dash = _DASHES[curve.dash % len(_DASHES)]
    line = {"color": color, "width": 1.8, "dash": dash}
    return [
        _band(f"{name}, range", points, color),
        go.Scatter(name=name, line=line, **common, **_data(name, points[:num_full], of)),
        go.Scatter(
            name=f"{name}, not all seeds",
            showlegend=False,
            line=line | {"dash": "dot"},
            # joined to the full line: its first point is that line's last, drawn but not told twice
            **common,
            **_data(name, points[max(0, num_full - 1) :] if num_full < len(points) else [], of),
        ),
    ]


def _band(name: str, points: list[PooledPoint], color: str) -> go.Scatter:
    several = [point for point in points if point.num_runs > 1]
    back = several[::-1]
    return go.Scatter(
        name=name,
        x=[point.step for point in several + back],
        y=[point.high for point in several] + [point.low for point in back],
        fill="toself",
        fillcolor=color,
        opacity=_BAND_OPACITY,
        mode="lines",
        line={"width": 0, "color": color},
        hoverinfo="skip",
        showlegend=False,
    )


def _data(name: str, points: list[PooledPoint], of: _Kind) -> dict[str, Any]:
    return {
        "x": [point.step for point in points],
        "y": [point.mean for point in points],
        "customdata": [_hover(name, point, of.value) for point in points],
        "hovertemplate": "%{customdata}<extra></extra>",
    }


def _hover(name: str, point: PooledPoint, value: str) -> str:
    # plotly reads a little HTML in hover texts; a name must not be taken for it
    plain = name.replace("&", "&amp;").replace("<", "&lt;")
    said = f"{plain} · step {point.step:,}: {point.mean:{value}}"
    if point.num_runs == 1:
        return said
    return f"{said} ({point.low:{value}} to {point.high:{value}}, {point.num_runs} seeds)"


def _map(name: str, one: PooledMap, scale: int, seed: int | None) -> dict[str, Any]:
    seeds = f"seed {seed}" if seed is not None else "1 seed"
    title = f"{name}, mean of {one.num_runs} seeds" if one.num_runs > 1 else f"{name}, {seeds}"
    return _plain(rank_map(one.modules, _rounded(one.ranks_M), max_rank=scale, title=title))


def _difference(
    name: str, one: PooledMap | None, change: list[float], limit: int, baseline: str
) -> dict[str, Any]:
    assert one is not None  # a change is known of maps only
    zeros = [0] * len(change)
    title = f"{name} minus {baseline}"
    return _plain(
        rank_difference_map(one.modules, _rounded(change), zeros, max_change=limit, title=title)
    )


def _rounded(values: list[float]) -> list[float]:
    """One decimal, and none where it is whole: a mean of seeds must fit into a cell."""
    short = [round(value, 1) for value in values]
    return [int(value) if value == int(value) else value for value in short]


def _plain(made: go.Figure) -> dict[str, Any]:
    """As JSON holds it, without plotly's empty template."""
    plain: dict[str, Any] = made.to_plotly_json()
    plain["layout"].pop("template", None)
    return plain
