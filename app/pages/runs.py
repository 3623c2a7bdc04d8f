"""The page *Runs*."""

from rankscope.app.pages.contract import Page, Site
from rankscope.app.pages.screen import screen


def build(site: Site) -> None:
    """Build the page."""
    del site
    screen("runs", "<p>Loading</p>")


PAGE = Page("Runs", "/", build)
