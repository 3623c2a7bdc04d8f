"""What a person sees and when: a real headless Chromium, watched from inside the page."""

import os
import shutil
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

PATIENCE_MS = 180_000
"""A machine that does much else may take long; only what is measured counts."""
WATCH = """
(cell) => {
  window.painted = [];
  let last = '';
  const look = () => {
    const heading = document.querySelector('.run-map h2, .gtitle')?.textContent ?? '';
    const step = Number(heading.replace(/[^0-9]/g, ''));
    const rank = Number(document.querySelector(cell)?.textContent ?? 0);
    if (last === `${step} ${rank}`) return;
    last = `${step} ${rank}`;
    // the frame after this one has been painted when a task follows its animation callback
    requestAnimationFrame(() => setTimeout(() => {
      window.painted.push([performance.timeOrigin + performance.now(), step, rank]);
    }));
  };
  const all = {subtree: true, childList: true, characterData: true};
  new MutationObserver(look).observe(document.body, all);
}
"""
OPENED = """
window.openedMs = null;
const look = () => {
  const heading = document.querySelector('.run-map h2')?.textContent ?? '';
  const line = document.querySelector('.run-curve .scatterlayer path.js-line')?.getAttribute('d');
  const isThere = heading.replace(/[^0-9]/g, '') === '100000' && line;
  if (isThere) window.openedMs ??= performance.now();
  else requestAnimationFrame(look);
};
requestAnimationFrame(look);
"""

Painted = list[tuple[float, int, int]]
"""Moment of the paint (s since the epoch), step in the heading, rank in the watched cell."""


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser for as long as the block lasts; needs Debian's chromium or Playwright's."""
    flags = ["--disable-dev-shm-usage", *(["--no-sandbox"] if os.geteuid() == 0 else [])]
    with sync_playwright() as playwright:
        path = shutil.which("chromium")
        browser = playwright.chromium.launch(executable_path=path, args=flags)
        yield browser
        browser.close()


def watch(page: Page, address: str, cell: str) -> None:
    """Open a page that shows the map and note from now on what it paints when."""
    page.set_default_timeout(PATIENCE_MS)
    page.goto(address, wait_until="commit")
    page.wait_for_selector(".run-map h2:has-text('step'), .gtitle", state="attached")
    page.evaluate(WATCH, cell)


def painted(page: Page) -> Painted:
    """What the page painted since ``watch``."""
    rows: list[Any] = page.evaluate("window.painted")
    return [(ms / 1000, int(step), int(rank)) for ms, step, rank in rows]


def delays_ms(said: Sequence[tuple[float, int]], seen: Sequence[tuple[float, int]]) -> list[float]:
    """From saying a number to the first paint that shows it or a later one.

    Args:
        said: Moments and ascending numbers.
        seen: Moments and numbers painted, ascending too.
    """
    numbers = [number for _, number in seen]
    delays = []
    for moment, number in said:
        at = bisect_left(numbers, number)
        if at < len(seen):
            delays.append(1000 * (seen[at][0] - moment))
    return delays


def cell_delays_ms(said: Sequence[tuple[float, int]], seen: Painted) -> list[float]:
    """From saying a cell's rank to the first later paint that shows it."""
    delays = []
    for moment, rank in said:
        shown = next((at for at, _, r in seen if at >= moment and r == rank), None)
        if shown is not None:
            delays.append(1000 * (shown - moment))
    return delays


def open_s(person: BrowserContext, address: str) -> float:
    """From the navigation to the painted map and loss curve of the long run."""
    page = person.new_page()
    page.add_init_script(OPENED)
    page.set_default_timeout(PATIENCE_MS)
    page.goto(address, wait_until="commit")
    page.wait_for_function("window.openedMs !== null")
    opened_ms: float = page.evaluate("window.openedMs")
    page.close()
    return opened_ms / 1000
