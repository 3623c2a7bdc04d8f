"""The web application: HTTP API and live tail first, then the Gradio pages at the root."""

import asyncio
import warnings
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

import fastapi
import gradio as gr
from fastapi import FastAPI
from gradio.components import Navbar
from sqlalchemy import Engine
from starlette.middleware.gzip import GZipMiddleware

from rankscope.app.api import ROUTERS
from rankscope.app.door import signin
from rankscope.app.door.guard import Guard
from rankscope.app.door.identity import person_of
from rankscope.app.door.origins import Origins
from rankscope.app.door.sessions import Sessions, signing_key
from rankscope.app.live import Hub
from rankscope.app.pages import PAGES
from rankscope.app.pages.contract import Site
from rankscope.app.server import files, health, problems
from rankscope.app.server.first_paint import FirstPaint
from rankscope.app.settings import WebSettings
from rankscope.storage.external import ExternalRuns
from rankscope.storage.settings import Settings
from rankscope.storage.uploads import Uploads
from rankscope.tasks.client import Answers

HEAD = f"""
<title>Rankscope</title>
<script src="/ui/theme-first.js"></script>
<link rel="icon" href="/ui/icon.svg" type="image/svg+xml">
<link rel="stylesheet" href="/ui/base.css">
<script src="{files.PLOTLY_ADDRESS}" async></script>
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
    sessions = Sessions(engine, key, is_open=web.is_open(host), is_https=web.is_https)
    app = FastAPI(
        title="Rankscope", docs_url=None, redoc_url=None, openapi_url=None, lifespan=_lifespan
    )
    app.state.site = Site(engine, settings, Answers())
    app.state.uploads = Uploads(settings.roots.data, web.max_upload_mb * 1_000_000)
    app.state.sessions = sessions
    app.state.external_runs = ExternalRuns(engine, settings)
    app.state.sign_in = signin.SignIn(sessions)
    app.state.health = health.Health(engine, settings, sessions)
    problems.add_to(app)
    for router in (health.ROUTER, signin.ROUTER, files.ROUTER, *ROUTERS):
        app.include_router(router)
    app.include_router(problems.ROUTER)
    app.mount("/ui", files.UiFiles(directory=files.UI_FOLDER))
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, _mount_pages(app)).result()
    app.add_middleware(FirstPaint, head=HEAD)
    app.add_middleware(GZipMiddleware, minimum_size=1024, compresslevel=4)
    # added last, so that nothing is answered before it
    origins = Origins(web.public_url, host)
    app.add_middleware(Guard, engine=engine, sessions=sessions, origins=origins)
    return app


def build_pages(site: Site) -> gr.Blocks:
    """All pages as one Gradio application with a route each."""
    first, *others = PAGES
    blocks = gr.Blocks(title="Rankscope", analytics_enabled=False)
    with blocks:
        Navbar(visible=False)
        first.build(site)
    for page in others:
        with blocks.route(page.title, page.path, show_in_navbar=False):
            Navbar(visible=False)
            page.build(site)
    return blocks


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    app.state.health.start()
    site: Site = app.state.site
    app.state.hub = Hub(site.engine, site.settings)
    await app.state.hub.start()
    try:
        yield
    finally:
        await app.state.hub.stop()
        app.state.external_runs.close()
        site.answers.close()
        app.state.health.stop()


async def _mount_pages(app: FastAPI) -> None:
    """Asynchronous, because Gradio leaves an event loop open for each lock it makes without one."""
    blocks = build_pages(app.state.site)
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
        )


def _gradio_user(request: fastapi.Request) -> str | None:
    person = person_of(request)
    return person.name if person else None
