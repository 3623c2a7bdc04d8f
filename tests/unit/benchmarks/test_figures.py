"""Figures: where values are drawn, and that they can be read anywhere."""

from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from benchmarks.science.figures import gain_figure, gain_rows, task_rows, tasks_figure
from tests.unit.benchmarks.protocols import comparison

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def answer(tmp_path: Path) -> dict[str, Any]:
    return comparison(tmp_path)


def parsed(svg: str) -> ElementTree.Element:
    return ElementTree.fromstring(svg)  # noqa: S314 - our own text


def words(svg: str) -> list[str]:
    return [text.text or "" for text in parsed(svg).iter(f"{SVG}text")]


def test_gains_are_in_percent_and_the_highest_is_on_top(answer: dict[str, Any]) -> None:
    """Means .85, .75, .65 against uniform's .45."""
    rows = gain_rows(answer)
    assert rows[0].label == "full"
    assert rows[0].value == pytest.approx(100 * (0.85 / 0.45 - 1))
    assert "uniform" not in [row.label for row in rows]
    kinds = {row.label: row.kind.shape for row in rows}
    assert kinds == {
        "full": "ring",
        "hydra": "diamond",
        "mlp only, more": "square",
        "mlp only": "circle",
        "hydra, less": "square",
    }


def test_differences_on_a_task_are_in_points(answer: dict[str, Any]) -> None:
    [row] = task_rows(answer, "skills", ["hydra"])
    assert row.value == pytest.approx(30.0)


@pytest.mark.parametrize("figure", [gain_figure, tasks_figure])
def test_a_figure_says_what_it_shows_and_has_its_own_background(
    answer: dict[str, Any], figure: Any
) -> None:
    root = parsed(figure(answer))
    assert [child.tag for child in root][:3] == [f"{SVG}{tag}" for tag in ("title", "desc", "rect")]
    background = root[2]
    assert background.get("fill") == "#ffffff"
    assert float(background.get("width", 0)) >= float(root.get("width", 0)) - 1
    shown = words(figure(answer))
    assert "preset standard on test: answers, skills; budget of rank 1 and 2; 2 seeds" in shown
    assert any("95 % interval" in text and ("%" in text or "points" in text) for text in shown)
    assert {"hydra", "at equal steps", "at equal wall-clock", "holds more than the budget"} <= {
        *shown
    }


@pytest.mark.parametrize("figure", [gain_figure, tasks_figure])
def test_nothing_is_drawn_outside_the_figure(answer: dict[str, Any], figure: Any) -> None:
    root = parsed(figure(answer))
    width, height = float(root.get("width", 0)), float(root.get("height", 0))
    for element in root.iter():
        for name in ("x", "x1", "x2", "cx"):
            assert 0 <= float(element.get(name, 0)) <= width
        for name in ("y", "y1", "y2", "cy"):
            assert 0 <= float(element.get(name, 0)) <= height


def test_an_interval_beyond_the_axis_ends_in_an_arrow(answer: dict[str, Any]) -> None:
    before = gain_figure(answer).count("<polygon")
    answer["arms"]["mlp only"]["ci95"] = [-90.0, 90.0]
    assert gain_figure(answer).count("<polygon") == before + 2


def test_equal_results_give_equal_figures(answer: dict[str, Any]) -> None:
    assert gain_figure(answer) == gain_figure(answer)


def test_a_name_may_hold_any_sign(answer: dict[str, Any]) -> None:
    answer["arms"]["a < b & c"] = answer["arms"].pop("mlp only")
    assert "a < b & c" in words(gain_figure(answer))
