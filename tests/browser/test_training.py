"""The main job in the browser: launch a run, watch its ranks move, stop it, go on with it."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import func, select

from rankscope.storage import history
from rankscope.storage.runs import get_run
from rankscope.storage.tables import Run
from rankscope.tasks.client import stop
from tests.browser.visits import Visits
from tests.helpers.stack import Stack

TRAINING_MS = 120_000
"""Until a training has started or moved its ranks, on two cores that other tests share."""


@pytest.fixture(scope="module")
def stack(short_home: Path) -> Iterator[Stack]:
    with Stack(short_home, num_slots=1) as stack:
        yield stack


@pytest.mark.timeout(400)
def test_a_run_is_launched_watched_stopped_resumed_and_found_again(
    visits: Visits, stack: Stack
) -> None:
    page = visits.page("/new")
    run_id = _launch(page, "watched")
    assert _num_runs(stack) == 1  # launched by a double click
    status = page.get_by_role("status", name="Status of the run")
    expect(status).to_contain_text("running", timeout=TRAINING_MS)

    page.get_by_role("region", name="Ranks").get_by_text("Table", exact=True).click()
    cells = page.locator("td[data-module]")
    expect(cells).to_have_count(42)
    expect(cells.filter(has_text=re.compile("^1$"))).to_have_count(42)
    expect(cells.filter(has_not_text=re.compile("^1$")).first).to_be_visible(timeout=TRAINING_MS)
    expect(page.get_by_role("region", name="Why the ranks are so")).to_contain_text("L")
    assert history.rank_map(stack.engine, run_id) != {}

    page.get_by_role("button", name="Stop", exact=True).click()
    expect(status).to_contain_text("stopped", timeout=TRAINING_MS)
    stopped_at = get_run(stack.engine, run_id).step
    assert 0 < stopped_at < 400
    page.get_by_role("button", name="Resume", exact=True).click()
    expect(status).to_contain_text("running", timeout=TRAINING_MS)
    _wait_for_step(page, stopped_at + 2)
    assert get_run(stack.engine, run_id).attempt == 2

    page.reload()
    expect(page.get_by_role("heading", name="watched")).to_be_visible()
    expect(status).to_contain_text("running")
    shown = page.get_by_role("progressbar", name="Training")
    assert int(shown.get_attribute("aria-valuenow") or 0) > stopped_at
    _wait_for_step(page, int(shown.get_attribute("aria-valuenow") or 0) + 1)
    steps = list(history.metrics(stack.engine, run_id)["step"])
    assert steps == list(range(1, len(steps) + 1))  # nothing lost, nothing double

    page.get_by_role("link", name="Runs", exact=True).click()
    row = page.get_by_role("row", name=re.compile("watched"))
    expect(row).to_contain_text("running")
    page.get_by_role("link", name="Workers", exact=True).click()
    expect(page.get_by_role("region", name="Training now")).to_contain_text("watched")
    page.get_by_role("button", name=re.compile("^Stop watched")).click()
    expect(page.get_by_role("region", name="Training now")).not_to_contain_text(
        "watched", timeout=TRAINING_MS
    )


@pytest.mark.timeout(300)
def test_a_closed_browser_and_a_restarted_web_server_leave_training_alone(
    visits: Visits, stack: Stack
) -> None:
    page = visits.page("/new")
    run_id = _launch(page, "left alone")
    _wait_for_step(page, 5)
    before = get_run(stack.engine, run_id)
    stack.stop("web")
    expect(page.get_by_text(re.compile("connection .*lost", re.IGNORECASE)).first).to_be_visible()
    stack.start_web()
    expect(page.get_by_text(re.compile("connection .*lost", re.IGNORECASE))).to_have_count(0)
    _wait_for_step(page, before.step + 1)
    assert get_run(stack.engine, run_id).attempt == before.attempt
    stop(stack.engine, stack.settings, run_id)
    status = page.get_by_role("status", name="Status of the run")
    expect(status).to_contain_text("stopped", timeout=TRAINING_MS)
    visits.forgive("request failed", "ERR_CONNECTION", "WebSocket", "502|503")


def _launch(page: Page, name: str) -> str:
    """Launch HyDRA with few test items and enough steps to be stopped; returns the run's id."""
    launch = page.get_by_role("button", name="Launch", exact=True)
    expect(launch).not_to_have_attribute("aria-disabled", "true")
    page.get_by_role("textbox", name="Name", exact=True).fill(name)
    page.get_by_role("textbox", name="Steps", exact=True).fill("400")
    page.get_by_role("button", name=re.compile("^Evaluation")).click()
    page.get_by_role("textbox", name="Test items", exact=True).fill("64")
    page.get_by_role("textbox", name="Validation items", exact=True).fill("32")
    expect(page.get_by_role("region", name="The equal command")).to_contain_text("test_items: 64")
    expect(page.get_by_role("region", name="The equal command")).to_contain_text(name)
    launch.dblclick()
    expect(page).to_have_url(re.compile(r"/run\?run="))
    return page.url.split("run=")[1]


def _wait_for_step(page: Page, step: int) -> None:
    """Wait until the page shows a later step."""
    page.wait_for_function(
        """(step) => document.querySelector('[role=progressbar][aria-label=Training]')
             ?.getAttribute('aria-valuenow') > step""",
        arg=step,
        timeout=TRAINING_MS,
    )


def _num_runs(stack: Stack) -> int:
    with stack.engine.connect() as connection:
        return connection.execute(select(func.count()).select_from(Run)).scalar_one()
