"""A stopped Redis, database or worker shows on the page within seconds, and heals by itself."""

import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.visits import Visits
from tests.helpers.postgres import PostgresServer
from tests.helpers.stack import Stack

SHOWN_WITHIN_MS = 15_000
"""By design 3.5 s where a connection is refused: a look every 1.5 s, a page asks every 2 s. No
promise of time is tested here, for other tests take the cores meanwhile."""
HEALED_WITHIN_MS = 30_000
PAGES = ("/", "/new", "/compare", "/benchmarks", "/workers")


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresServer]:
    """A server of this file's own, for it is stopped."""
    folder = tempfile.TemporaryDirectory(prefix="rs-pg-", ignore_cleanup_errors=True)
    with folder as name, PostgresServer(Path(name)) as server:
        yield server


@pytest.fixture(scope="module")
def stack(short_home: Path, postgres: PostgresServer) -> Iterator[Stack]:
    with Stack(short_home, database_url=postgres.new_database(), num_slots=1) as stack:
        yield stack


@pytest.fixture
def pages(visits: Visits) -> list[Page]:
    """All pages at once, in a window each."""
    person = visits.person()
    opened = []
    for path in PAGES:
        page = person.new_page()
        page.goto(path)
        expect(page.get_by_role("navigation", name="Pages")).to_be_visible()
        opened.append(page)
    return opened


def banner(page: Page, text: str) -> Locator:
    return page.get_by_role("banner").get_by_text(re.compile(text)).first


def test_a_stopped_redis_shows_on_every_page_and_heals(
    visits: Visits, stack: Stack, pages: list[Page]
) -> None:
    for page in pages:
        expect(banner(page, "Redis does not answer")).to_be_hidden()
    stack.redis.stop()
    for page in pages:
        page.bring_to_front()
        expect(banner(page, "Redis does not answer")).to_be_visible(timeout=SHOWN_WITHIN_MS)
    assert stack.get("/readyz")[0] == 503
    assert stack.get("/healthz")[0] == 200
    stack.redis.start()
    for page in pages:
        page.bring_to_front()
        expect(banner(page, "Redis does not answer")).to_be_hidden(timeout=HEALED_WITHIN_MS)
    visits.forgive("status of 50")


def test_a_stopped_database_shows_on_every_page_and_heals(
    visits: Visits, stack: Stack, postgres: PostgresServer, pages: list[Page]
) -> None:
    postgres.stop()
    try:
        for page in pages:
            page.bring_to_front()
            expect(banner(page, "The database does not answer")).to_be_visible(
                timeout=SHOWN_WITHIN_MS
            )
        assert stack.get("/readyz")[0] == 503
    finally:
        postgres.start()
    for page in pages:
        page.bring_to_front()
        expect(banner(page, "The database does not answer")).to_be_hidden(timeout=HEALED_WITHIN_MS)
    expect(pages[0].get_by_role("heading", name="Runs", level=1)).to_be_visible()
    visits.forgive("status of 50")


def test_a_stopped_worker_shows_and_one_that_starts_heals_it(
    stack: Stack, pages: list[Page]
) -> None:
    stack.stop("worker")
    for page in pages:
        page.bring_to_front()
        expect(banner(page, "No worker is running")).to_be_visible(timeout=SHOWN_WITHIN_MS)
    stack.start_worker()
    for page in pages:
        page.bring_to_front()
        expect(banner(page, "No worker is running")).to_be_hidden(timeout=HEALED_WITHIN_MS)


def test_a_killed_worker_shows_though_it_could_not_say_so(stack: Stack, pages: list[Page]) -> None:
    stack.kill("worker")
    for page in pages:
        page.bring_to_front()
        expect(banner(page, "No worker (reports|is running)")).to_be_visible(
            timeout=SHOWN_WITHIN_MS
        )
    stack.start_worker()
    for page in pages:
        page.bring_to_front()
        expect(banner(page, "No worker")).to_be_hidden(timeout=HEALED_WITHIN_MS)
