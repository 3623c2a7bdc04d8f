"""Files that browsers keep: our own style sheets and scripts, our icon, and plotly.js."""

import functools
import gzip
from pathlib import Path

import plotly
from fastapi import APIRouter, Request
from fastapi.responses import FileResponse, Response
from fastapi.staticfiles import StaticFiles
from starlette.types import Scope

ROUTER = APIRouter()
UI_FOLDER = Path(__file__).parents[1] / "ui"
PLOTLY_JS = Path(plotly.__file__).parent / "package_data" / "plotly.min.js"
PLOTLY_ADDRESS = f"/ui/plotly.min.js?v={plotly.__version__}"
"""Names the version, so that a browser may keep the file for good."""
_FOR_GOOD = "public, max-age=31536000, immutable"


class UiFiles(StaticFiles):
    """Our files; a browser asks each time whether its copy is still the newest."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        """The file, or 304."""
        response = await super().get_response(path, scope)
        response.headers["cache-control"] = "no-cache"
        return response


@ROUTER.get("/ui/plotly.min.js")
def plotly_js(request: Request) -> Response:
    """plotly.js: 4.7 MB, hence compressed once and not on each request."""
    headers = {"cache-control": _FOR_GOOD, "vary": "accept-encoding"}
    if "gzip" not in request.headers.get("accept-encoding", ""):
        return Response(PLOTLY_JS.read_bytes(), headers=headers, media_type="text/javascript")
    headers["content-encoding"] = "gzip"
    return Response(_packed_plotly(), headers=headers, media_type="text/javascript")


@ROUTER.get("/favicon.ico")
def icon() -> FileResponse:
    """Browsers ask for it by this name whatever a page says; Gradio would answer with its own."""
    return FileResponse(UI_FOLDER / "icon.svg", media_type="image/svg+xml")


@functools.cache
def _packed_plotly() -> bytes:
    return gzip.compress(PLOTLY_JS.read_bytes(), mtime=0)
