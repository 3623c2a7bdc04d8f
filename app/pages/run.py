"""The page *Run*: one run's ranks, curves and reasons, live; drawn by ``ui/run.js``."""

from rankscope.app.pages.contract import Page, Site
from rankscope.app.pages.screen import screen

SKELETON = """
<div class="screen run" aria-busy="true">
  <p class="visually-hidden" role="status">Loading the run</p>
  <div class="run-head">
    <span class="skeleton" style="height: 30px; max-width: 340px"></span>
    <span class="skeleton" style="height: 18px; max-width: 460px"></span>
    <span class="skeleton run-strip" style="height: 65px"></span>
  </div>
  <div class="run-grid">
    <div class="card run-map-card"><span class="skeleton" style="height: 448px"></span></div>
    <div class="run-curves">
      <div class="card"><span class="skeleton run-curve"></span></div>
      <div class="card"><span class="skeleton run-curve"></span></div>
    </div>
    <div class="card why"></div>
    <div class="card run-log"><span class="skeleton" style="height: 300px"></span></div>
    <div class="card run-details"><span class="skeleton" style="height: 300px"></span></div>
  </div>
</div>
"""


def build(site: Site) -> None:
    """Build the page."""
    del site
    screen("run", SKELETON)


PAGE = Page("Run", "/run", build, in_menu=False)
