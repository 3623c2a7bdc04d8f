"""The page *Run*."""

from rankscope.app.pages.contract import Page, Site
from rankscope.app.pages.screen import screen


def build(site: Site) -> None:
    """Build the page."""
    del site
    screen("run", "<p>Loading</p>")


PAGE = Page("Run", "/run", build, in_menu=False)
