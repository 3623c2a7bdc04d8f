"""The page *Workers*: the queue in its order, what trains now, who takes runs."""

from rankscope.app.pages.contract import Page, Site
from rankscope.app.pages.screen import screen

_LOADING = """
<div class="screen" aria-busy="true" aria-label="Loading queue and workers">
<span class="skeleton" style="height: 30px"></span>
<span class="skeleton" style="height: 200px"></span>
<span class="skeleton" style="height: 200px"></span>
</div>
"""


def build(site: Site) -> None:
    """Build the page; all that it shows comes from the API."""
    del site
    screen("workers", _LOADING)


PAGE = Page("Workers", "/workers", build)
