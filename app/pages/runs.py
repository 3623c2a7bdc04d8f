"""The page *Runs*: find runs, see how far they are, choose some to compare."""

from rankscope.app.pages.contract import Page, Site
from rankscope.app.pages.screen import screen

_LOADING = """
<div class="screen" aria-busy="true" aria-label="Loading runs">
<span class="skeleton" style="height: 30px"></span>
<span class="skeleton" style="height: 420px"></span>
</div>
"""


def build(site: Site) -> None:
    """Build the page; all that it shows comes from the API."""
    del site
    screen("runs", _LOADING)


PAGE = Page("Runs", "/", build)
