"""Figures of a comparison as SVG: gains over uniform, over all tasks and task by task.

Written by hand rather than by a plotting library, so that equal results give equal bytes without a
browser. Colours are Okabe and Ito's (2008), told apart by shape too; the background is the
figure's own, so that it reads on light and on dark pages. Lengths are in pixels.
"""

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, NamedTuple

from benchmarks.science.results import BASELINE, CHALLENGER

Figures = Mapping[str, Any]

INK, PALE, PAPER, EDGE = "#1a1a1a", "#5c5c5c", "#ffffff", "#d9d9d9"
LINE_HEIGHT, MARGIN, HEAD = 24, 20, 74
LETTER_WIDTH = 7.2
"""Of the labels' font on average, to leave room for them."""
PANEL_WIDTH, PANEL_GAP = 150, 18
WHOLE_WIDTH, TICK_WIDTH = 560, 40
MOST_SPREADS = 2.0
"""An interval is cut where it goes beyond the values by so many times their spread."""


class Kind(NamedTuple):
    """How a sort of arm is drawn, and its name in the legend."""

    name: str
    colour: str
    shape: str


CHALLENGING = Kind(CHALLENGER, "#0072b2", "diamond")
RIVAL = Kind("at equal steps", INK, "circle")
CHARGED = Kind("at equal wall-clock", "#d55e00", "square")
BEYOND = Kind("holds more than the budget", "#009e73", "ring")


class Row(NamedTuple):
    """A value with its interval; all in what the axis says."""

    label: str
    value: float
    low: float
    high: float
    kind: Kind


class _Axis(NamedTuple):
    """Values from ``low`` to ``high`` lie between ``left`` and ``right``."""

    low: float
    high: float
    left: float
    right: float

    def x(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low)
        return self.left + min(1.0, max(0.0, share)) * (self.right - self.left)

    def at(self, left: float, right: float) -> "_Axis":
        return self._replace(left=left, right=right)

    def ticks(self) -> list[float]:
        step = _round_step((self.high - self.low) / max(3.0, (self.right - self.left) / TICK_WIDTH))
        first = math.ceil(self.low / step)
        last = math.floor(self.high / step)
        return [number * step for number in range(first, last + 1)]


def gain_figure(answer: Figures) -> str:
    """Every arm's gain over the baseline with its interval, the highest on top."""
    rows = gain_rows(answer)
    left = _label_width(rows)
    axis = _axis_of(rows).at(left, left + WHOLE_WIDTH)
    width, bottom = axis.right + MARGIN, HEAD + LINE_HEIGHT * len(rows)
    body = [*_labels(rows), *_panel(rows, axis, bottom)]
    body.append(_text((axis.left + axis.right) / 2, bottom + 40, _UNIT_OF_GAIN, "middle"))
    title = f"Gain over {BASELINE} LoRA at equal parameters"
    return _svg(width, bottom, title, subtitle(answer), [*body, *_legend(rows, bottom)])


def tasks_figure(answer: Figures) -> str:
    """The differences to the baseline on every task, arms in the order of ``gain_figure``."""
    order = [row.label for row in gain_rows(answer)]
    by_task = {task: task_rows(answer, task, order) for task in answer["tasks"]}
    every = [row for rows in by_task.values() for row in rows]
    scale, left = _axis_of(every), _label_width(every)
    bottom = HEAD + LINE_HEIGHT * (len(order) + 1)
    body = _labels(next(iter(by_task.values())), top=HEAD + LINE_HEIGHT)
    for number, (task, rows) in enumerate(by_task.items()):
        start = left + number * (PANEL_WIDTH + PANEL_GAP)
        axis = scale.at(start, start + PANEL_WIDTH)
        body.append(_text(start + PANEL_WIDTH / 2, HEAD + 12, task, "middle", weight=600))
        body += _panel(rows, axis, bottom, top=HEAD + LINE_HEIGHT)
    right = left + len(by_task) * (PANEL_WIDTH + PANEL_GAP) - PANEL_GAP
    body.append(_text((left + right) / 2, bottom + 40, _UNIT_OF_DIFFERENCE, "middle"))
    width = max(right + MARGIN, left + WHOLE_WIDTH + MARGIN)
    title = f"Difference to {BASELINE} LoRA, task by task"
    return _svg(width, bottom, title, subtitle(answer), [*body, *_legend(every, bottom)])


_UNIT_OF_GAIN = f"mean accuracy relative to {BASELINE}'s, % (95 % interval over seeds and items)"
_UNIT_OF_DIFFERENCE = f"accuracy less {BASELINE}'s, points (95 % interval over seeds and items)"


def gain_rows(answer: Figures) -> list[Row]:
    """What ``gain_figure`` shows, in percent."""
    rows = [
        _row(arm, figures, figures["relative_gain_vs_uniform"], figures["ci95"])
        for arm, figures in answer["arms"].items()
        if "relative_gain_vs_uniform" in figures
    ]
    return sorted(rows, key=lambda row: -row.value)


def task_rows(answer: Figures, task: str, order: Sequence[str]) -> list[Row]:
    """What ``tasks_figure`` shows of a task, in points."""
    key = f"vs_{BASELINE}"
    arms = answer["tasks"][task]
    return [_row(a, answer["arms"][a], arms[a][key], arms[a][f"{key}_ci95"]) for a in order]


def subtitle(answer: Figures) -> str:
    """Which runs a figure is about."""
    seeds = {run["seed"] for run in answer["runs"]}
    budgets = sorted({run["budget"] for run in answer["runs"]})
    tasks = ", ".join(answer["tasks"])
    return (
        f"preset {answer['preset']} on {answer['part']}: {tasks}; budget of rank "
        f"{' and '.join(f'{budget:g}' for budget in budgets)}; {len(seeds)} seeds"
    )


def _row(arm: str, figures: Figures, value: float, interval: Sequence[float]) -> Row:
    kind = RIVAL
    if arm == CHALLENGER:
        kind = CHALLENGING
    elif figures["is_charged"]:
        kind = CHARGED
    elif figures["over_budget"]:
        kind = BEYOND
    low, high = interval
    return Row(arm, 100 * value, 100 * low, 100 * high, kind)


def _axis_of(rows: Sequence[Row]) -> _Axis:
    """From the lowest to the highest bound, zero within; what is far out is cut."""
    values = [0.0, *(row.value for row in rows)]
    spread = max(1.0, max(values) - min(values))
    low = max(min(values) - MOST_SPREADS * spread, min(0.0, *(row.low for row in rows)))
    high = min(max(values) + MOST_SPREADS * spread, max(0.0, *(row.high for row in rows)))
    room = 0.04 * max(1.0, high - low)
    return _Axis(low - room, high + room, 0.0, 1.0)


def _round_step(least: float) -> float:
    """The least of 1, 2, 5, 10, ... (times a power of ten) that is no smaller."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= least * (1 - 1e-9))


def _label_width(rows: Sequence[Row]) -> float:
    return MARGIN + LETTER_WIDTH * max(len(row.label) for row in rows) + 16


def _labels(rows: Sequence[Row], top: float = HEAD) -> list[str]:
    x = _label_width(rows) - 12
    return [
        _text(
            x,
            top + LINE_HEIGHT * (number + 0.5) + 4,
            row.label,
            "end",
            weight=600 if row.kind is CHALLENGING else 400,
        )
        for number, row in enumerate(rows)
    ]


def _panel(rows: Sequence[Row], axis: _Axis, bottom: float, top: float = HEAD) -> list[str]:
    marks = []
    for tick in axis.ticks():
        x, is_zero = axis.x(tick), abs(tick) < 1e-9
        marks.append(_line(x, top, x, bottom, PALE if is_zero else EDGE, 1.4 if is_zero else 1.0))
        marks.append(_text(x, bottom + 18, "0" if is_zero else f"{tick:+g}", "middle", PALE))
    for number, row in enumerate(rows):
        marks += _marks(row, axis, top + LINE_HEIGHT * (number + 0.5))
    return marks


def _marks(row: Row, axis: _Axis, y: float) -> list[str]:
    low, high = axis.x(row.low), axis.x(row.high)
    marks = [_line(low, y, high, y, row.kind.colour, 2.0)]
    for bound, x, outward in ((row.low, low, -1), (row.high, high, 1)):
        if axis.low <= bound <= axis.high:
            marks.append(_line(x, y - 4, x, y + 4, row.kind.colour, 2.0))
        else:  # it goes on
            back = x - 7 * outward
            tip = f"{x:.1f},{y:.1f} {back:.1f},{y - 5:.1f} {back:.1f},{y + 5:.1f}"
            marks.append(f'<polygon points="{tip}" fill="{row.kind.colour}"/>')
    return [*marks, _symbol(row.kind, axis.x(row.value), y)]


def _symbol(kind: Kind, x: float, y: float) -> str:
    if kind.shape == "diamond":
        points = f"{x:.1f},{y - 7:.1f} {x + 7:.1f},{y:.1f} {x:.1f},{y + 7:.1f} {x - 7:.1f},{y:.1f}"
        return f'<polygon points="{points}" fill="{kind.colour}"/>'
    if kind.shape == "square":
        return (
            f'<rect x="{x - 5:.1f}" y="{y - 5:.1f}" width="10" height="10" fill="{kind.colour}"/>'
        )
    fill = PAPER if kind.shape == "ring" else kind.colour
    return (
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4.8" fill="{fill}" stroke="{kind.colour}" '
        'stroke-width="2"/>'
    )


def _legend(rows: Sequence[Row], bottom: float) -> list[str]:
    marks, x, y = [], float(MARGIN + 6), bottom + 68
    for kind in (CHALLENGING, RIVAL, CHARGED, BEYOND):
        if all(row.kind is not kind for row in rows):
            continue
        marks += [_symbol(kind, x, y), _text(x + 14, y + 4, kind.name)]
        x += 14 + LETTER_WIDTH * len(kind.name) + 26
    return marks


def _line(x1: float, y1: float, x2: float, y2: float, colour: str, width: float) -> str:
    return (
        f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}" '
        f'stroke-width="{width:g}"/>'
    )


def _text(
    x: float,
    y: float,
    words: str,
    anchor: str = "start",
    colour: str = INK,
    *,
    size: int = 13,
    weight: int = 400,
) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}" font-size="{size}" '
        f'font-weight="{weight}">{escape(words)}</text>'
    )


def _svg(width: float, bottom: float, title: str, about: str, body: Sequence[str]) -> str:
    width = max(width, 2 * MARGIN + 6.4 * len(about))
    height = bottom + 68 + MARGIN
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" '
        f'width="{width:.0f}" height="{height:.0f}" role="img" '
        'font-family="system-ui, -apple-system, Segoe UI, Roboto, Helvetica, Arial, sans-serif">',
        f"<title>{escape(title)}</title>",
        f"<desc>{escape(about)}</desc>",
        f'<rect x="0.5" y="0.5" width="{width - 1:.0f}" height="{height - 1:.0f}" rx="8" '
        f'fill="{PAPER}" stroke="{EDGE}"/>',
        _text(MARGIN, 32, title, size=17, weight=600),
        _text(MARGIN, 54, about, colour=PALE, size=12),
        *body,
        "</svg>",
    ]
    return "\n".join(lines) + "\n"
