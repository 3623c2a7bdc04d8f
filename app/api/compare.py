"""Compare runs over HTTP: all that the page shows, and its table as a file."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, HTTPException, Query, Request
from fastapi.responses import PlainTextResponse

from rankscope.app.comparing.page import Shown, comparison_page
from rankscope.app.comparing.table import TableFormat, score_table, table_text
from rankscope.app.door.identity import viewer
from rankscope.app.pages.contract import Site
from rankscope.storage.compared_runs import revision
from rankscope.storage.comparison import compare
from rankscope.storage.errors import UnknownRunError

MAX_RUNS = 100
"""More configurations than this cannot be told apart on one page."""

router = APIRouter(prefix="/api/compare", tags=["compare"], dependencies=[Depends(viewer)])

Runs = Annotated[list[str], Query(min_length=1, max_length=MAX_RUNS)]
_FILES: dict[TableFormat, tuple[str, str]] = {
    "csv": ("text/csv", "comparison.csv"),
    "md": ("text/markdown", "comparison.md"),
    "latex": ("application/x-tex", "comparison.tex"),
}


@router.get("")
def read_comparison(
    request: Request,
    run: Runs,
    baseline: str | None = None,
    curves: Literal["mean", "runs"] = "mean",
    seed: int | None = None,
    since: str | None = None,
) -> dict[str, Any]:
    """What the page shows; only ``{"is_unchanged": true}`` if ``since`` is still its revision."""
    site: Site = request.app.state.site
    if since is not None and since == revision(site.engine, run):
        return {"is_unchanged": True}
    try:
        return comparison_page(
            site.engine, run, baseline=baseline, shown=Shown(curves=curves, seed=seed)
        )
    except UnknownRunError as error:
        raise HTTPException(404, str(error)) from error


@router.get("/table", response_class=PlainTextResponse)
def download_table(
    request: Request, run: Runs, baseline: str | None = None, style: TableFormat = "csv"
) -> PlainTextResponse:
    """The main table as a CSV, Markdown or LaTeX file."""
    site: Site = request.app.state.site
    try:
        compared = compare(site.engine, run, baseline=baseline)
    except UnknownRunError as error:
        raise HTTPException(404, str(error)) from error
    media_type, name = _FILES[style]
    return PlainTextResponse(
        table_text(score_table(compared), style) + "\n",
        media_type=media_type,
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )
