"""The web application: HTTP API and live tail first, then the Gradio pages at the root."""

import warnings
from pathlib import Path

import gradio as gr
import plotly
from fastapi import FastAPI
from fastapi.responses import FileResponse
from fastapi.staticfiles import StaticFiles
from sqlalchemy import Engine

from rankscope.app.api import ROUTERS
from rankscope.app.guard import Guard
from rankscope.app.identity import person_of
from rankscope.app.origins import Origins, is_loopback
from rankscope.app.pages import PAGES
from rankscope.app.pages.contract import Site
from rankscope.app.sessions import Sessions, signing_key
from rankscope.app.settings import WebSettings
from rankscope.storage.settings import Settings

UI_FOLDER = Path(__file__).parent / "ui"
PLOTLY_JS = Path(plotly.__file__).parent / "package_data" / "plotly.min.js"
HEAD = """
<link rel="stylesheet" href="/ui/base.css">
<script src="/ui/plotly.min.js" defer></script>
<script type="module" src="/ui/shell.js"></script>
"""


def create_app(
    engine: Engine,
    settings: Settings,
    web: WebSettings | None = None,
    *,
    host: str = "127.0.0.1",
) -> FastAPI:
    """Everything that one web process serves.

    Args:
        engine: A migrated database.
        settings: Where runs' files and Redis are.
        web: How people reach this process; from the environment by default.
        host: Address that the process listens on; only on a loopback one may people go without
            signing in, and only while there are no accounts.
    """
    web = web or WebSettings()
    key = web.secret.get_secret_value() if web.secret else signing_key(settings.rankscope_home)
    is_open = is_loopback(host) and web.public_url is None
    sessions = Sessions(engine, key, is_open=is_open)
    app = FastAPI(title="Rankscope", docs_url=None, redoc_url=None, openapi_url=None)
    app.state.site = Site(engine, settings)
    app.state.sessions = sessions
    app.add_middleware(
        Guard,
        engine=engine,
        sessions=sessions,
        origins=Origins(web.public_url, host),
        is_https=web.is_https,
    )
    for router in ROUTERS:
        app.include_router(router)

    @app.get("/ui/plotly.min.js")
    def plotly_js() -> FileResponse:
        return FileResponse(PLOTLY_JS, media_type="text/javascript")

    app.mount("/ui", StaticFiles(directory=UI_FOLDER))
    _mount_pages(app, build_pages(app.state.site))
    return app


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


def _mount_pages(app: FastAPI, blocks: gr.Blocks) -> None:
    with warnings.catch_warnings():
        # Gradio 6.31 warns of it even when ssr_mode is False
        warnings.filterwarnings("ignore", "SSR mode is not supported with multi-page", UserWarning)
        gr.mount_gradio_app(
            app,
            blocks,
            path="/",
            auth_dependency=_gradio_user,
            ssr_mode=False,
            run_history=False,
            footer_links=[],
            head=HEAD,
        )


def _gradio_user(request: gr.Request) -> str | None:
    person = person_of(request)
    return person.name if person else None
