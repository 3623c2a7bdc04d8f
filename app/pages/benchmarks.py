"""The page *Benchmarks*: evaluations with their scores, and a form to start one."""

from rankscope.app.pages.contract import Page, Site
from rankscope.app.pages.screen import screen

_LOADING = """
<div class="screen" aria-busy="true" aria-label="Loading evaluations">
<span class="skeleton" style="height: 30px"></span>
<span class="skeleton" style="height: 200px"></span>
<span class="skeleton" style="height: 260px"></span>
</div>
"""


def build(site: Site) -> None:
    """Build the page; all that it shows comes from the API."""
    del site
    screen("benchmarks", _LOADING)


PAGE = Page("Benchmarks", "/benchmarks", build)
