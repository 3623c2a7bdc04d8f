"""Empty curves: axes with units over the whole run, traces by the names the page fills."""

import re
from pathlib import Path

from rankscope.app.plots import training
from rankscope.app.plots.training import accuracy_curves, loss_curves

FILLED_BY = Path(training.__file__).parents[1] / "ui" / "run" / "training.js"


def names(figure: object) -> set[str]:
    return {trace.name for trace in figure.data}  # type: ignore[attr-defined]


def test_curves_span_the_whole_run_and_name_their_units() -> None:
    loss = loss_curves(400)
    assert tuple(loss.layout.xaxis.range) == (0, 400)
    assert loss.layout.xaxis.title.text == "optimizer step"
    assert loss.layout.yaxis.title.text == "nats per answer token"


def test_accuracy_goes_from_0_to_1_in_percent() -> None:
    axis = accuracy_curves(10).layout.yaxis
    assert (tuple(axis.range), axis.tickformat) == ((0, 1), ".0%")


def test_the_page_fills_every_trace_by_its_name() -> None:
    script = FILLED_BY.read_text()
    for name in names(loss_curves(1)) | names(accuracy_curves(1)):
        assert re.search(rf"'{re.escape(name)}'|\b{re.escape(name)}\b:", script), name


def test_zoom_survives_live_updates() -> None:
    assert loss_curves(1).layout.uirevision == "keep"
