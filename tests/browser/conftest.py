"""A browser for the session, and a server of its own for every file of tests."""

import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.browser.visits import Visits
from tests.helpers.chromium import chromium
from tests.helpers.stack import Stack

_HAS_FAILED = pytest.StashKey[bool]()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


@pytest.fixture(scope="module")
def short_home() -> Iterator[Path]:
    # not tmp_path: a Unix socket's path must be short
    with tempfile.TemporaryDirectory(prefix="rs-", ignore_cleanup_errors=True) as name:
        yield Path(name)


@pytest.fixture
def visits(browser: Browser, stack: Stack, request: pytest.FixtureRequest) -> Iterator[Visits]:
    """Windows for one test; what their consoles complained of fails it."""
    opened = Visits(browser, stack)
    yield opened
    complaints = opened.complaints
    if complaints and not request.node.stash.get(_HAS_FAILED, False):
        complaints = [*complaints, f"kept in {opened.save(request.node.nodeid)}"]
    opened.close()
    assert complaints == [] or request.node.stash.get(_HAS_FAILED, False)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    opened = getattr(item, "funcargs", {}).get("visits")
    if report.when == "call" and report.failed and isinstance(opened, Visits):
        item.stash[_HAS_FAILED] = True
        folder = opened.save(item.nodeid)
        report.sections.append(("browser", f"screenshots, console and logs are in {folder}"))
    return report
