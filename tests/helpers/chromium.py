"""A real headless Chromium: Debian's, or Playwright's own."""

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Playwright, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome")
MISSING = (
    "these tests need Chromium; run: apt-get install chromium "
    "(or, without root: .venv/bin/playwright install chromium)"
)


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser for as long as the block lasts.

    Raises:
        RuntimeError: None is installed; the message names the command.
    """
    with sync_playwright() as playwright:
        # Shared memory is small in containers, and a GPU done in software costs more than none.
        flags = ["--disable-dev-shm-usage", "--disable-gpu"]
        if os.geteuid() == 0:
            flags.append("--no-sandbox")  # Chromium refuses its sandbox to root
        browser = playwright.chromium.launch(executable_path=_executable(playwright), args=flags)
        yield browser
        browser.close()


def _executable(playwright: Playwright) -> str:
    installed = next(filter(None, map(shutil.which, NAMES)), None)
    executable = installed or playwright.chromium.executable_path
    if not Path(executable).exists():
        raise RuntimeError(MISSING)
    return executable


if __name__ == "__main__":
    with sync_playwright() as found:
        try:
            _executable(found)
        except RuntimeError as error:
            sys.exit(str(error))
