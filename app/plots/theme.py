"""The one look of all plots: colours by name, axes with units, nothing decorative.

Colours of text, lines and series are names of the page's tokens (``var(--text)``), which the
browser resolves when it draws; so one figure is right in the light and in the dark theme.
"""

from typing import NamedTuple

import plotly.graph_objects as go

Colorscale = list[tuple[float, str]]

# matplotlib's cividis (Nunez, Anderton & Renslow 2018), ten stops from low to high. The lowest
# tenth is left out: on the dark theme it cannot be told from the page.
CIVIDIS: Colorscale = [
    (0.0, "#0c326d"),
    (0.125, "#31446b"),
    (0.25, "#4d566d"),
    (0.375, "#666970"),
    (0.5, "#7c7b78"),
    (0.625, "#958f78"),
    (0.75, "#b0a473"),
    (0.875, "#d2bf62"),
    (1.0, "#fee838"),
]

# ColorBrewer's PuOr (Brewer 2003): purple below zero, orange above, white in the middle.
PUOR: Colorscale = [
    (0.0, "#542788"),
    (0.17, "#8073ac"),
    (0.33, "#b2abd2"),
    (0.5, "#f7f7f7"),
    (0.67, "#fdb863"),
    (0.83, "#e08214"),
    (1.0, "#b35806"),
]

SERIES = tuple(f"var(--series-{number})" for number in range(1, 8))
"""Told apart by colour-blind people too, on light and dark; in the order series are added."""

TEXT = "var(--text)"
MUTED = "var(--text-2)"
LINE = "var(--line)"
LINE_STRONG = "var(--line-strong)"
SURFACE = "var(--surface)"


class Axis(NamedTuple):
    """What an axis says: its unit in words, its range, and how its figures are written."""

    title: str
    range: tuple[float, float] | None = None
    tickformat: str | None = None


def figure(title: str) -> go.Figure:
    """An empty figure in our look; ``title`` is a sentence that says what is shown."""
    return go.Figure(
        layout={
            "template": go.layout.Template(),
            "title": {"text": title},
            "font": {"family": "var(--sans)", "size": 11, "color": MUTED},
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "showlegend": False,
            "hoverlabel": {
                "bgcolor": SURFACE,
                "bordercolor": LINE_STRONG,
                "font": {"family": "var(--sans)", "size": 12, "color": TEXT},
                "align": "left",
                "namelength": -1,
            },
            "uirevision": "keep",  # zoom and hidden series survive live updates
        }
    )


def curves(title: str, x: Axis, y: Axis) -> go.Figure:
    """An empty figure for curves over ``x``."""
    empty = figure(title)
    empty.update_layout(
        xaxis=_axis(x, has_grid=False),
        yaxis=_axis(y, has_grid=True),
        margin={"l": 8, "r": 12, "t": 8, "b": 8},
        height=240,
        hovermode="x unified",
        hoverdistance=40,
        xaxis_unifiedhovertitle_text=f"{x.title} %{{x}}",
    )
    return empty


def _axis(axis: Axis, *, has_grid: bool) -> dict[str, object]:
    return {
        "title": {"text": axis.title, "standoff": 6, "font": {"size": 11}},
        "range": axis.range,
        "tickformat": axis.tickformat,
        "showgrid": has_grid,
        "gridcolor": LINE,
        "zeroline": False,
        "showline": not has_grid,
        "linecolor": LINE_STRONG,
        "ticks": "" if has_grid else "outside",
        "ticklen": 4,
        "tickcolor": LINE_STRONG,
        "nticks": 6,
        "automargin": True,
    }
