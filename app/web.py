"""The web application: HTTP API and live tail first, then the Gradio pages at the root."""

from pathlib import Path

import gradio as gr
import plotly
from fastapi import FastAPI
from fastapi.responses import FileResponse
from fastapi.staticfiles import StaticFiles
from sqlalchemy import Engine

from rankscope.app.pages import PAGES
from rankscope.app.pages.contract import Site
from rankscope.storage.settings import Settings

UI_FOLDER = Path(__file__).parent / "ui"
PLOTLY_JS = Path(plotly.__file__).parent / "package_data" / "plotly.min.js"
HEAD = """
<link rel="stylesheet" href="/ui/base.css">
<script src="/ui/plotly.min.js" defer></script>
<script type="module" src="/ui/shell.js"></script>
"""


def create_app(engine: Engine, settings: Settings) -> FastAPI:
    """Everything that one web process serves."""
    app = FastAPI(title="Rankscope", docs_url=None, redoc_url=None, openapi_url=None)

    @app.get("/ui/plotly.min.js")
    def plotly_js() -> FileResponse:
        return FileResponse(PLOTLY_JS, media_type="text/javascript")

    app.mount("/ui", StaticFiles(directory=UI_FOLDER))
    return gr.mount_gradio_app(
        app,
        build_pages(Site(engine, settings)),
        path="/",
        ssr_mode=False,
        run_history=False,
        footer_links=[],
        head=HEAD,
    )


def build_pages(site: Site) -> gr.Blocks:
    """All pages as one Gradio application with a route each."""
    first, *others = PAGES
    with gr.Blocks(title="Rankscope", analytics_enabled=False) as blocks:
        gr.Navbar(visible=False)
        first.build(site)
    for page in others:
        with blocks.route(page.title, page.path, show_in_navbar=False):
            gr.Navbar(visible=False)
            page.build(site)
    return blocks
