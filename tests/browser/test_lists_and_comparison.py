"""Runs and Compare in use: search, keyboard, address, and pictures that follow a live run."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from rankscope.models.events import RanksChanged, StatusChanged, StepDone
from rankscope.models.reading import parse_config
from rankscope.storage.runs import begin_attempt, create_run, set_inventory
from rankscope.storage.sink import Sink
from tests.browser.visits import Visits
from tests.helpers.stack import Stack
from tests.unit.app.past_runs import INVENTORY, T0, UP, PastRuns, Q, record_runs


@pytest.fixture(scope="module")
def past(short_home: Path) -> PastRuns:
    return record_runs(short_home)


@pytest.fixture(scope="module")
def stack(short_home: Path, past: PastRuns) -> Iterator[Stack]:
    assert past.home == short_home
    with Stack(short_home, num_slots=0) as stack:
        yield stack


def test_the_search_finds_what_it_says(visits: Visits) -> None:
    both = {"static", "uniform"}
    searches: dict[str, set[str]] = {
        "scheduler=static": {"static"},
        "scheduler=static,uniform seed=0": both,
        "status!=done": set(),
        "score>=75": both,
        "score=90": {"static"},
        "budget<=32 budget>31": both,
        "budget<0.01k": set(),
        '"uniform & co"': {"uniform"},
        "owner=ada co stat": {"static"},
        "age>1h": set(),
    }
    page = visits.page("/")
    search = page.get_by_role("searchbox", name="Search runs")
    expect(search).to_be_visible()
    for text, schedulers in searches.items():
        search.fill(text)
        cells = page.get_by_role("table", name="Runs").locator("tbody .cell-scheduler")
        assert (text, set(cells.all_inner_texts())) == (text, schedulers)
    expect(page.get_by_role("heading", name="No run fits the search")).to_be_visible()


def test_what_the_search_cannot_read_is_said(visits: Visits) -> None:
    page = visits.page("/?q=budgte<3 seed<x")
    said = page.get_by_text('got "budgte"')
    expect(said).to_be_visible()
    expect(said).to_contain_text("seed holds numbers")
    expect(page.get_by_role("table", name="Runs").locator("tbody tr")).to_have_count(4)


def test_runs_are_searched_chosen_and_opened_by_keyboard(visits: Visits) -> None:
    page = visits.page("/")
    expect(page.get_by_role("table", name="Runs")).to_be_visible()
    page.keyboard.press("/")
    page.keyboard.type("scheduler=static")
    page.keyboard.press("Escape")
    for key in ("j", "x", "j", "x"):
        page.keyboard.press(key)
    expect(page).to_have_url(re.compile(r"q=scheduler%3Dstatic&run=\w+&run=\w+$"))
    with page.expect_response(re.compile("/api/runs")):
        pass  # the list is read again and again
    expect(page.locator(":focus")).to_have_text("static & co")
    page.reload()
    expect(page.get_by_role("link", name="Compare 2")).to_be_visible()
    page.keyboard.press("c")
    expect(page).to_have_url(re.compile("/compare"))


def test_columns_sort_and_the_address_keeps_it(visits: Visits) -> None:
    page = visits.page("/")
    page.get_by_role("button", name="Score (95 %)").click()
    expect(page).to_have_url(re.compile("sort=-score"))
    scores = page.locator("tbody .cell-score")
    expect(scores.first).to_contain_text("90.0")
    page.reload()
    expect(page.get_by_role("columnheader", name="Score (95 %)")).to_have_attribute(
        "aria-sort", "descending"
    )
    page.get_by_role("button", name="Score (95 %)").click()
    expect(scores.first).to_contain_text("60.0")


def test_a_comparison_follows_a_live_run_and_keeps_the_zoom(
    visits: Visits, stack: Stack, past: PastRuns
) -> None:
    config = parse_config(
        {"name": "live", "data": {"kind": "easy_vqa"}, "training": {"steps": 20}, "seed": 5}
    )
    run_id = create_run(stack.engine, config, origin="foreground", owner="ada")
    set_inventory(stack.engine, run_id, INVENTORY, budget_params=32)
    attempt = begin_attempt(stack.engine, run_id, worker_id=None, lease_s=60.0)
    with Sink(stack.engine, run_id, attempt, INVENTORY, flush_s=0.01) as sink:
        start: dict[str, Any] = {"cause": "start", "moved_params": 0, "live_params": 32}
        sink.emit(StatusChanged(step=0, time=T0, status="running"))
        sink.emit(RanksChanged(step=0, time=T0, ranks={Q: 1, UP: 1}, **start))
        for step in (1, 2, 3):
            sink.emit(StepDone(step=step, time=T0 + step, loss=2.0, lr=0.01, step_s=0.5))
        page = visits.page(f"/compare?run={past.static[0]}&run={run_id}")
        chip = page.get_by_text("1 of 2 ended, live")
        expect(chip).to_be_visible()
        page.wait_for_function(f"({_LOSS})?.data?.some((trace) => trace.x.at(-1) === 3)")
        zoomed = _zoom(page)
        for step in (4, 5):
            sink.emit(StepDone(step=step, time=T0 + step, loss=1.0, lr=0.01, step_s=0.5))
        moved: dict[str, Any] = {"cause": "scheduler", "moved_params": 16, "live_params": 32}
        sink.emit(RanksChanged(step=5, time=T0 + 5, ranks={Q: 0, UP: 2}, **moved))
        page.wait_for_function(f"({_LOSS}).data.some((trace) => trace.x.at(-1) === 5)")
        assert _range(page) == zoomed
        maps = page.get_by_role("region", name="Rank maps")
        expect(maps.locator(f'td[data-module="{UP}"]').nth(1)).to_have_text("2")
        sink.emit(StatusChanged(step=5, time=T0 + 6, status="done"))
    expect(chip).to_have_count(0)
    assert _range(page) == zoomed


_LOSS = "document.querySelector('.compare-curve .js-plotly-plot')"


def _zoom(page: Page) -> list[float]:
    """Drag over the middle of the loss; returns the steps then shown."""
    box = page.locator(".compare-curve .nsewdrag").first.bounding_box()
    assert box is not None
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + 0.2 * box["width"], middle)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.7 * box["width"], middle, steps=5)
    page.mouse.up()
    page.wait_for_function(f"({_LOSS}).layout.xaxis.range[0] > 1")
    return _range(page)


def _range(page: Page) -> list[float]:
    shown: list[float] = page.evaluate(f"({_LOSS}).layout.xaxis.range")
    return shown
