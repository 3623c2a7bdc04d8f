"""The page *New run*."""

from rankscope.app.pages.contract import Page, Site
from rankscope.app.pages.screen import screen


def build(site: Site) -> None:
    """Build the page."""
    del site
    screen("new", "<p>Loading</p>")


PAGE = Page("New run", "/new", build)
