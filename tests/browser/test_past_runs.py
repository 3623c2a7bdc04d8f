"""Pages over runs that have ended or wait: nothing trains here."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from rankscope.app.demonstration import ARMS, configs
from rankscope.models.data.record import DataRecord
from rankscope.storage.runs import get_run, set_data_record
from rankscope.tasks.client import submit
from tests.browser.visits import NARROW, Visits
from tests.helpers.stack import Stack
from tests.unit.app.past_runs import PastRuns, record_runs


@pytest.fixture(scope="module")
def past(short_home: Path) -> PastRuns:
    return record_runs(short_home)


@pytest.fixture(scope="module")
def stack(short_home: Path, past: PastRuns) -> Iterator[Stack]:
    assert past.home == short_home
    with Stack(short_home, num_slots=0) as stack:
        yield stack


@pytest.fixture
def waiting(stack: Stack) -> list[str]:
    """Three runs in the queue: uniform, hydra, adalora."""
    return [
        run_id
        for config in configs()
        for run_id in submit(stack.engine, stack.settings, config, owner="ada", seeds=[0])
    ]


@pytest.fixture
def addresses(past: PastRuns) -> dict[str, str]:
    """Every page, with what it shows."""
    runs = "&".join(f"run={run}" for run in (*past.uniform, *past.static))
    return {
        "/": "Runs",
        "/new": "New run",
        f"/run?run={past.static[0]}": "static & co",
        f"/compare?{runs}": "Compare",
        "/compare": "Compare",
        "/benchmarks": "Benchmarks",
        "/workers": "Workers",
    }


def test_every_page_opens_without_a_complaint_in_the_console(
    visits: Visits, addresses: dict[str, str]
) -> None:
    page = visits.page("/")
    for address, title in addresses.items():
        page.goto(address)
        expect(page.get_by_role("heading", name=title, level=1)).to_be_visible()
        page.wait_for_load_state("networkidle")


def test_no_page_scrolls_sideways_on_a_narrow_screen(
    visits: Visits, addresses: dict[str, str]
) -> None:
    page = visits.page("/", viewport=NARROW)
    wide = []
    for address, title in addresses.items():
        page.goto(address)
        expect(page.get_by_role("heading", name=title, level=1)).to_be_visible()
        page.wait_for_load_state("networkidle")
        width = page.evaluate("document.documentElement.scrollWidth")
        if width > NARROW["width"]:
            wide.append((address, width))
    assert wide == []


def test_dark_is_the_systems_choice_or_the_persons_and_stays(visits: Visits) -> None:
    page = visits.page("/workers", color_scheme="dark")
    expect(page.get_by_role("heading", name="Workers", level=1)).to_be_visible()
    assert _brightness(page) < 60
    page.get_by_role("button", name="Light theme").click()
    expect(page.get_by_role("button", name="Dark theme")).to_be_visible()
    assert _brightness(page) > 200
    page.goto("/")
    expect(page.get_by_role("heading", name="Runs", level=1)).to_be_visible()
    assert _brightness(page) > 200


def test_the_page_of_a_run_says_what_its_own_data_held(
    visits: Visits, stack: Stack, past: PastRuns
) -> None:
    record = DataRecord(
        content_hash="ab" * 32,
        num_rows=1_000,
        num_broken=2,
        num_between_parts=3,
        broken=("own.json row 7: <b>a rule</b>",),
    )
    set_data_record(stack.engine, past.uniform[1], record)
    page = visits.page(f"/run?run={past.uniform[1]}")
    details = page.get_by_role("region", name="Details of the run")
    expect(details).to_contain_text("ab" * 32)
    expect(details).to_contain_text("Rows used995")
    details.get_by_text("The first broken row").click()
    expect(details).to_contain_text("<b>a rule</b>")


def test_chosen_runs_are_compared_and_the_address_keeps_them(
    visits: Visits, past: PastRuns
) -> None:
    page = visits.page("/")
    for run in (past.uniform[0], past.static[0]):
        page.get_by_role("checkbox", name=re.compile(run)).check()
    page.get_by_role("link", name=re.compile(r"^Compare.*2")).click()
    expect(page).to_have_url(re.compile(rf"/compare\?.*{past.uniform[0]}"))
    expect(_arm(page, "uniform")).to_contain_text("60.0")
    expect(_arm(page, "static")).to_contain_text("70.0")
    page.reload()
    expect(_arm(page, "static")).to_contain_text("70.0")


def test_a_comparison_of_several_seeds_has_an_interval_and_can_change_its_baseline(
    visits: Visits, past: PastRuns
) -> None:
    runs = "&".join(f"run={run}" for run in (*past.uniform, *past.static))
    page = visits.page(f"/compare?{runs}")
    expect(_arm(page, "static")).to_contain_text("80.0")
    page.get_by_label("Baseline").select_option("static")
    expect(page).to_have_url(re.compile(f"baseline={past.static[0]}"))
    expect(page.get_by_role("columnheader", name="Minus static, points")).to_be_visible()


def test_unequal_budgets_are_pointed_out(
    visits: Visits, past: PastRuns, waiting: list[str]
) -> None:
    """Recorded runs have 32 parameters, the waiting one 13,056."""
    page = visits.page(f"/compare?run={past.uniform[0]}&run={waiting[0]}")
    expect(
        page.get_by_role("main").get_by_text(re.compile("unequal budget", re.IGNORECASE))
    ).to_be_visible()


def test_waiting_runs_are_moved_held_and_cancelled(
    visits: Visits, stack: Stack, waiting: list[str]
) -> None:
    page = visits.page("/workers")
    queue = page.get_by_role("list", name="Waiting runs, the next first").get_by_role("listitem")
    mine = [queue.filter(has=page.locator(f'a[href*="{run_id}"]')) for run_id in waiting]
    expect(mine[2]).to_be_visible()
    before = _place(page, waiting[2])
    mine[2].get_by_role("button", name=re.compile(r"^Move .* up$")).click()
    expect(queue.nth(before - 1).locator(f'a[href*="{waiting[2]}"]')).to_be_visible()
    mine[2].get_by_role("button", name=re.compile(r"^Move .* first$")).click()
    expect(queue.nth(0).locator(f'a[href*="{waiting[2]}"]')).to_be_visible()
    mine[0].get_by_role("button", name=re.compile(r"^Hold ")).click()
    expect(mine[0].get_by_role("button", name=re.compile(r"^Release "))).to_be_visible()
    mine[1].get_by_role("button", name=re.compile(r"^Cancel ")).click()
    expect(mine[1]).to_have_count(0)
    assert get_run(stack.engine, waiting[1]).status == "stopped"
    page.reload()
    expect(queue.nth(0).locator(f'a[href*="{waiting[2]}"]')).to_be_visible()


def test_a_wrong_value_is_said_beside_its_field_and_stops_the_launch(visits: Visits) -> None:
    page = visits.page("/new")
    launch = page.get_by_role("button", name="Launch", exact=True)
    expect(launch).not_to_have_attribute("aria-disabled", "true")
    steps = page.get_by_role("textbox", name="Steps", exact=True)
    steps.fill("0")
    expect(steps).to_have_attribute("aria-invalid", "true")
    expect(page.get_by_role("alert").filter(has_text="got 0")).to_be_visible()
    expect(launch).to_have_attribute("aria-disabled", "true")
    steps.fill("20")
    expect(steps).not_to_have_attribute("aria-invalid", "true")
    expect(launch).not_to_have_attribute("aria-disabled", "true")


def test_a_budget_too_small_is_said_beside_the_budget(visits: Visits) -> None:
    page = visits.page("/new")
    page.get_by_role("radio", name="Parameters", exact=True).check()
    budget = page.get_by_role("textbox", name="Parameters", exact=True)
    budget.fill("0")
    expect(budget).to_have_attribute("aria-invalid", "true")


def test_the_form_shows_budget_ranks_command_and_yaml_before_the_launch(visits: Visits) -> None:
    page = visits.page("/new")
    main = page.get_by_role("main")
    expect(main.get_by_text("13,056 parameters").first).to_be_visible()
    expect(page.get_by_role("img", name=re.compile("Rank of every adapter"))).to_be_visible()
    expect(page.get_by_role("region", name="The equal command")).to_contain_text("rankscope submit")
    page.get_by_role("textbox", name="Rank", exact=True).fill("2")
    expect(main.get_by_text("26,112 parameters").first).to_be_visible()


def test_a_clone_has_the_settings_of_its_run(visits: Visits, waiting: list[str]) -> None:
    page = visits.page(f"/new?clone={waiting[0]}")
    expect(page.get_by_role("textbox", name="Name", exact=True)).to_have_value("demo: uniform")
    expect(page.get_by_role("textbox", name="Learning rate", exact=True)).to_have_value(
        f"{ARMS[0].rate:g}"
    )


def test_an_unknown_run_gets_one_clear_answer(visits: Visits) -> None:
    page = visits.page("/run?run=nope")
    expect(page.get_by_role("heading", name="There is no run nope")).to_be_visible()
    page.goto("/compare?run=nope")
    expect(page.get_by_role("main")).to_contain_text("nope")
    visits.forgive(r"status of 404")


def test_a_past_run_shows_its_ranks_its_reason_and_its_step_by_permalink(
    visits: Visits, past: PastRuns
) -> None:
    page = visits.page(f"/run?run={past.static[0]}")
    heading = page.get_by_role("heading", name=re.compile("Rank of every adapter"))
    expect(heading).to_have_text(re.compile("step 2"))
    page.get_by_role("button", name="Previous event").click()
    expect(page).to_have_url(re.compile("step="))
    shown = heading.inner_text()
    again = visits.page(page.url)
    expect(again.get_by_role("heading", name=shown)).to_be_visible()
    again.get_by_role("button", name="End").click()
    expect(again).not_to_have_url(re.compile("step="))


def _arm(page: Page, scheduler: str) -> Locator:
    """Its row in the table of scores."""
    table = page.get_by_role("table", name="Scores by configuration")
    return table.get_by_role("row", name=f"Unfold the runs of {scheduler}")


def _brightness(page: Page) -> float:
    """Of the page's background, 0 to 255."""
    color = page.evaluate("getComputedStyle(document.body).backgroundColor")
    channels = [float(part) for part in re.findall(r"[\d.]+", color)[:3]]
    return sum(channels) / 3


def _place(page: Page, run_id: str) -> int:
    items = page.get_by_role("list", name="Waiting runs, the next first").get_by_role("listitem")
    return next(
        place
        for place in range(items.count())
        if items.nth(place).locator(f'a[href*="{run_id}"]').count()
    )
