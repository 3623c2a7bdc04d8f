"""Browser windows of a test: what their consoles said is kept, and all is saved on failure."""

import re
import shutil
from pathlib import Path
from typing import Any

from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Error,
    Page,
    Request,
    expect,
)

from tests.helpers.stack import Stack

WIDE, NARROW = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
TIMEOUT_MS = 45_000
"""Of one step of a test; two test processes share two cores with a training."""
FAILURES = Path(__file__).parents[2] / "build" / "browser-failures"


class Visits:
    """Opens windows on a stack."""

    def __init__(self, browser: Browser, stack: Stack) -> None:
        self._browser = browser
        self._stack = stack
        self._contexts: list[BrowserContext] = []
        self._pages: list[Page] = []
        self._said: list[str] = []
        self.complaints: list[str] = []
        """Errors in any console, exceptions and failed requests so far."""

    def person(self, **options: Any) -> BrowserContext:
        """A browser of somebody new: own cookies, own choice of theme."""
        options = {"viewport": WIDE, "locale": "en-GB", "reduced_motion": "reduce"} | options
        context = self._browser.new_context(base_url=self._stack.url, **options)
        context.set_default_timeout(TIMEOUT_MS)
        expect.set_options(timeout=TIMEOUT_MS)
        context.on("page", self._watch)
        self._contexts.append(context)
        return context

    def page(self, path: str = "/", **options: Any) -> Page:
        """A window of somebody new on a page."""
        page = self.person(**options).new_page()
        page.goto(path)
        return page

    def forgive(self, *patterns: str) -> None:
        """Forget complaints that the test provoked: a browser reports every refused request."""
        self.complaints = [
            text for text in self.complaints if not any(re.search(p, text) for p in patterns)
        ]

    def save(self, test: str) -> Path:
        """Keep pictures, texts and logs of a failed test; returns the folder."""
        folder = FAILURES / re.sub(r"[^\w.-]+", "-", test).strip("-")[-120:]
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for number, page in enumerate(self._pages):
            if page.is_closed():
                continue
            try:
                page.screenshot(path=folder / f"page-{number}.png", full_page=True)
                (folder / f"page-{number}.html").write_text(page.content(), encoding="utf-8")
            except Error as error:
                self._said.append(f"page {number} could not be kept: {error}")
        (folder / "console.txt").write_text("\n".join(self._said), encoding="utf-8")
        shutil.copytree(self._stack.logs, folder / "logs", dirs_exist_ok=True)
        return folder

    def close(self) -> None:
        """Close all windows."""
        for context in self._contexts:
            context.close()

    def _watch(self, page: Page) -> None:
        self._pages.append(page)
        page.on("console", self._on_console)
        page.on("pageerror", lambda error: self._complain(f"exception: {error}"))
        page.on("requestfailed", self._on_failed)

    def _on_console(self, message: ConsoleMessage) -> None:
        text = f"{message.type}: {message.text} ({message.location.get('url', '')})"
        self._said.append(text)
        if message.type == "error":
            self.complaints.append(text)

    def _on_failed(self, request: Request) -> None:
        # a page that is left gives up what it was loading
        if request.failure != "net::ERR_ABORTED":
            self._complain(f"request failed: {request.url} ({request.failure})")

    def _complain(self, text: str) -> None:
        self._said.append(text)
        self.complaints.append(text)
