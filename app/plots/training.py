"""Curves of one run, empty: the browser fills in what was recorded and what comes live.

The names of the traces are the keys under which ``ui/run/training.js`` fills them.
"""

import plotly.graph_objects as go

from rankscope.app.plots.theme import MUTED, SERIES, SURFACE, Axis, curves

RANKS_MOVED = "ranks moved"


def loss_curves(num_steps: int) -> go.Figure:
    """Training loss per step and smoothed, probe loss with its 95 % interval, rank events."""
    figure = curves("Loss while training", _steps(num_steps), Axis("nats per answer token"))
    figure.update_yaxes(rangemode="tozero")
    figure.add_trace(
        go.Scatter(
            name="step",
            mode="lines",
            line={"color": SERIES[0], "width": 1},
            opacity=0.28,
            showlegend=False,
            hoverinfo="skip",
        )
    )
    figure.add_trace(
        go.Scatter(
            name="train",
            mode="lines",
            line={"color": SERIES[0], "width": 2},
            hovertemplate="train, smoothed %{y:.3g}<extra></extra>",
        )
    )
    figure.add_trace(
        go.Scatter(
            name="probe",
            mode="markers",
            marker={"color": SERIES[1], "size": 7, "symbol": "circle"},
            error_y={"color": SERIES[1]},
            hovertemplate="probe %{y:.3g}<extra></extra>",
        )
    )
    return _with_rank_events(figure)


def accuracy_curves(num_steps: int) -> go.Figure:
    """Validation accuracy with its 95 % Wilson band, the test at the end, two references."""
    figure = curves("Accuracy on validation", _steps(num_steps), Axis("", (0, 1), ".0%"))
    figure.add_trace(
        go.Scatter(
            name="95 % interval",
            mode="lines",
            line={"width": 0, "color": SERIES[0]},
            fill="toself",
            fillcolor="var(--band-1)",
            hoverinfo="skip",
            showlegend=False,
        )
    )
    figure.add_trace(_reference("question only (test)", SERIES[1], "dash"))
    figure.add_trace(_reference("before (test)", MUTED, "dot"))
    figure.add_trace(
        go.Scatter(
            name="validation",
            mode="lines+markers",
            line={"color": SERIES[0], "width": 2},
            marker={"size": 5},
            hovertemplate="validation %{y:.1%}<br>%{customdata}<extra></extra>",
        )
    )
    figure.add_trace(
        go.Scatter(
            name="test",
            mode="markers",
            marker={
                "color": SERIES[2],
                "size": 10,
                "symbol": "diamond",
                "line": {"width": 1.5, "color": SURFACE},
            },
            cliponaxis=False,
            hovertemplate="test %{y:.1%}<br>%{customdata}<extra></extra>",
        )
    )
    return _with_rank_events(figure, in_legend=False)


def _steps(num_steps: int) -> Axis:
    return Axis("optimizer step", (0, num_steps))


def _reference(name: str, color: str, dash: str) -> go.Scatter:
    return go.Scatter(
        name=name,
        mode="lines",
        line={"color": color, "width": 1.2, "dash": dash},
        hovertemplate=f"{name} %{{y:.1%}}<extra></extra>",
    )


def _with_rank_events(figure: go.Figure, *, in_legend: bool = True) -> go.Figure:
    """Ticks on the lower edge at the steps where ranks moved, on an axis of their own."""
    figure.update_layout(
        yaxis2={"overlaying": "y", "range": (0, 1), "visible": False, "fixedrange": True}
    )
    figure.add_trace(
        go.Scatter(
            name=RANKS_MOVED,
            showlegend=in_legend,
            yaxis="y2",
            mode="markers",
            marker={
                "symbol": "triangle-up",
                "size": 8,
                "color": MUTED,
            },
            cliponaxis=False,
            hovertemplate="ranks moved at step %{x}<extra></extra>",
        )
    )
    return figure
