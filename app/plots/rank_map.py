"""Maps of ranks: layer down, type of module across, one panel per part of the model.

A module without an adapter (rank 0) is an empty cell with a hairline; a place where the model has
no module stays blank. The browser lays the panels out in the width there is (``ui/panels.js``) and
fills in new ranks; what it needs for that is in ``layout.meta``.

Shape letters: M modules.
"""

from collections.abc import Sequence
from typing import NamedTuple

import plotly.graph_objects as go

from rankscope.app.plots.theme import (
    CIVIDIS,
    LINE_STRONG,
    MUTED,
    PUOR,
    SURFACE,
    Colorscale,
    figure,
)
from rankscope.models.inventory import PARTS, AdaptableModule, Part

_NAME_OF_PART: dict[Part, str] = {
    "vision": "Vision",
    "projector": "Projector",
    "language": "Language",
}


class Panel(NamedTuple):
    """The grid of one part: its layers, its column titles, and where each of its modules lies."""

    part: Part
    layers: tuple[int, ...]
    columns: tuple[str, ...]
    cells: dict[int, tuple[int, int]]
    """Index of a module in the inventory -> (row, column)."""


def rank_map(
    modules: Sequence[AdaptableModule],
    ranks_M: Sequence[float] | None,
    *,
    max_rank: int,
    title: str,
) -> go.Figure:
    """Ranks as colours from 0 to ``max_rank``, whatever the largest rank shown is.

    Args:
        modules: The inventory's modules, in its order.
        ranks_M: Rank of every module, or its mean over runs; None where not known yet.
        max_rank: Upper end of the colour scale; equal for maps that are compared.
        title: A sentence, for instance "Rank of every adapter, step 240".
    """
    values_M: list[float] = [0] * len(modules) if ranks_M is None else list(ranks_M)
    return _map(modules, values_M, (0, max(1, max_rank)), CIVIDIS, title, "rank_map")


def rank_difference_map(
    modules: Sequence[AdaptableModule],
    ranks_M: Sequence[float],
    baseline_M: Sequence[float],
    *,
    max_change: int,
    title: str,
) -> go.Figure:
    """``ranks_M - baseline_M`` from ``-max_change`` (purple) over 0 to ``max_change`` (orange)."""
    changes_M = [rank - base for rank, base in zip(ranks_M, baseline_M, strict=True)]
    limit = max(1, max_change)
    return _map(modules, changes_M, (-limit, limit), PUOR, title, "rank_difference")


def panels(modules: Sequence[AdaptableModule]) -> tuple[Panel, ...]:
    """One grid per part that has modules, in the order vision, projector, language."""
    return tuple(
        _panel(part, [(i, m) for i, m in enumerate(modules) if m.part == part])
        for part in PARTS
        if any(module.part == part for module in modules)
    )


def short_type(module_type: str) -> str:
    """A type of module as a column title: ``q_proj`` becomes ``q``."""
    return module_type.removesuffix("_proj")


def _panel(part: Part, modules: list[tuple[int, AdaptableModule]]) -> Panel:
    layers = tuple(sorted({module.layer for _, module in modules}))
    columns: dict[str, int] = {}
    seen: dict[tuple[int, str], int] = {}
    cells = {}
    for index, module in modules:
        name = short_type(module.type)
        number = seen[module.layer, name] = seen.get((module.layer, name), 0) + 1
        title = name if number == 1 else f"{name} {number}"  # several of a type, as experts have
        column = columns.setdefault(title, len(columns))
        cells[index] = (layers.index(module.layer), column)
    return Panel(part, layers, tuple(columns), cells)


def _map(
    modules: Sequence[AdaptableModule],
    values_M: list[float],
    limits: tuple[int, int],
    colors: Colorscale,
    title: str,
    kind: str,
) -> go.Figure:
    drawn = figure(title)
    all_panels = panels(modules)
    for number, panel in enumerate(all_panels, start=1):
        axes = {"xaxis": _axis_id("x", number), "yaxis": _axis_id("y", number)}
        for trace in _traces(modules, panel, values_M, limits, colors):
            drawn.add_trace(trace.update(axes))
        drawn.update_layout(
            {
                _axis_id("xaxis", number): _columns_axis(panel, _axis_id("y", number)),
                _axis_id("yaxis", number): _layers_axis(panel, _axis_id("x", number)),
            }
        )
    drawn.update_layout(
        margin={"l": 0, "r": 0, "t": 0, "b": 0},
        dragmode=False,
        hovermode="closest",
        meta={
            "kind": kind,
            "limits": limits,
            "colors": colors,
            "values": values_M,
            "modules": [module.model_dump() | {"cost": module.cost} for module in modules],
            "panels": [
                {
                    "title": _NAME_OF_PART[panel.part],
                    "num_rows": len(panel.layers),
                    "num_columns": len(panel.columns),
                    "cells": [[index, *place] for index, place in panel.cells.items()],
                }
                for panel in all_panels
            ],
        },
    )
    return drawn


def _traces(
    modules: Sequence[AdaptableModule],
    panel: Panel,
    values_M: list[float],
    limits: tuple[int, int],
    colors: Colorscale,
) -> tuple[go.Heatmap, go.Heatmap, go.Heatmap]:
    """Frames of all cells, their hollow insides, and over them the cells that have a value."""
    exists = _grid(panel, dict.fromkeys(panel.cells, 1))
    frame = _plain(exists, LINE_STRONG, gap=2)
    frame.update(
        customdata=_grid(panel, {i: _told(modules[i], values_M[i]) for i in panel.cells}),
        hovertemplate="%{customdata}<extra></extra>",
        hoverinfo=None,
    )
    values = _grid(panel, {i: values_M[i] or None for i in panel.cells})
    filled = go.Heatmap(
        z=values,
        zmin=limits[0],
        zmax=limits[1],
        colorscale=colors,
        showscale=False,
        xgap=2,
        ygap=2,
        texttemplate="%{z}",
        hoverinfo="skip",
    )
    return frame, _plain(exists, SURFACE, gap=4), filled


def _told(module: AdaptableModule, value: float) -> str:
    """What the pointer shows over a cell until the browser knows more."""
    return f"<b>{module.name}</b><br>{value} · {module.cost:,} parameters per rank"


def _plain(exists: list[list[object]], color: str, *, gap: int) -> go.Heatmap:
    return go.Heatmap(
        z=exists,
        colorscale=[(0, color), (1, color)],
        showscale=False,
        xgap=gap,
        ygap=gap,
        hoverongaps=False,
        hoverinfo="skip",
    )


def _grid(panel: Panel, values: dict[int, object]) -> list[list[object]]:
    rows: list[list[object]] = [[None] * len(panel.columns) for _ in panel.layers]
    for index, (row, column) in panel.cells.items():
        rows[row][column] = values[index]
    return rows


def _columns_axis(panel: Panel, anchor: str) -> dict[str, object]:
    return _ticks(panel.columns) | {
        "range": (-0.5, len(panel.columns) - 0.5),
        "side": "top",
        "anchor": anchor,
        "tickangle": 0,
    }


def _layers_axis(panel: Panel, anchor: str) -> dict[str, object]:
    names = tuple(f"L{layer}" for layer in panel.layers)
    return _ticks(names) | {"range": (len(names) - 0.5, -0.5), "anchor": anchor}


def _ticks(names: Sequence[str]) -> dict[str, object]:
    return {
        "tickmode": "array",
        "tickvals": list(range(len(names))),
        "ticktext": list(names),
        "tickfont": {"size": 11, "color": MUTED},
        "fixedrange": True,
        "showgrid": False,
        "zeroline": False,
        "ticks": "",
    }


def _axis_id(name: str, number: int) -> str:
    return name if number == 1 else f"{name}{number}"
