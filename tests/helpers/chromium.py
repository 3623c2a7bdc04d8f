"""A real headless Chromium: Debian's, or Playwright's own."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

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
    installed = next(filter(None, map(shutil.which, NAMES)), None)
    with sync_playwright() as playwright:
        executable = installed or playwright.chromium.executable_path
        if not Path(executable).exists():
            raise RuntimeError(MISSING)
        # Chromium refuses its sandbox to root; shared memory is small in containers.
        flags = ["--disable-dev-shm-usage", *(["--no-sandbox"] if os.geteuid() == 0 else [])]
        browser = playwright.chromium.launch(executable_path=executable, args=flags)
        yield browser
        browser.close()
