"""``rankscope web``: the web process alone."""

from typing import Annotated

import typer

from rankscope.app.extras import require_web
from rankscope.app.store import open_store
from rankscope.storage.settings import Settings

Host = Annotated[str, typer.Option(help="Address to listen on.")]
Port = Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")]


def web(host: Host = "127.0.0.1", port: Port = 7860) -> None:
    """Serve the pages and the API; runs are trained by workers (see: rankscope up)."""
    require_web()
    from rankscope.app.server.serving import serve

    settings = Settings()
    serve(open_store(settings), settings, host, port)
