"""One uvicorn process that serves the web application until it is asked to stop."""

import uvicorn
from sqlalchemy import Engine

from rankscope.app.door.admission import admit, read_web_settings
from rankscope.app.up.ports import check_free
from rankscope.app.web import create_app
from rankscope.storage.settings import Settings

SHUTDOWN_S = 3
"""How long open pages and live tails may take to end; then they are cut, and reconnect later."""


def serve(engine: Engine, settings: Settings, host: str, port: int) -> None:
    """Serve until SIGINT or SIGTERM.

    Raises:
        ConfigError: If the settings make no sense, or strangers could come in.
    """
    web = read_web_settings()
    admit(engine, web, host)
    check_free(host, port)
    uvicorn.run(
        create_app(engine, settings, web, host=host),
        host=host,
        port=port,
        workers=1,
        ws="websockets-sansio",
        # compressing each of many small messages costs more CPU than all else (measured)
        ws_per_message_deflate=False,
        timeout_graceful_shutdown=SHUTDOWN_S,
        proxy_headers=web.public_url is not None,
        log_level="warning",
        server_header=False,
    )
