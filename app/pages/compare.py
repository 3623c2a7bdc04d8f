"""The page *Compare*: scores, verdict, curves and rank maps of several runs."""

from rankscope.app.pages.contract import Page, Site
from rankscope.app.pages.screen import screen

_LOADING = """
<div class="screen" aria-busy="true" aria-label="Loading the comparison">
<span class="skeleton" style="height: 30px"></span>
<span class="skeleton" style="height: 150px"></span>
<span class="skeleton" style="height: 190px"></span>
<span class="skeleton" style="height: 400px"></span>
<span class="skeleton" style="height: 300px"></span>
</div>
"""


def build(site: Site) -> None:
    """Build the page; all that it shows comes from the API."""
    del site
    screen("compare", _LOADING)


PAGE = Page("Compare", "/compare", build)
