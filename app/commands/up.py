"""``rankscope up``: everything on this machine."""

import threading
from typing import Annotated

import typer

from rankscope.app.commands.web import Host, Port
from rankscope.app.extras import require_web
from rankscope.app.interrupts import interrupt_once
from rankscope.app.terminal import err, out
from rankscope.storage.settings import Settings

Slots = Annotated[
    int,
    typer.Option("--slots", "--workers", min=1, help="Trainings at once; more of them wait."),
]


def up(host: Host = "127.0.0.1", port: Port = 7860, slots: Slots = 2) -> None:
    """Start Redis, a worker and the web pages on this machine, and look after them."""
    require_web()
    from rankscope.app.up.services import Services

    services = Services(Settings(), host, port, slots, say=_say)
    interrupt_once()
    try:
        with services:
            services.wait_until_ready()
            out.print(f"Rankscope is at {services.url} (Ctrl-C ends it; trainings go on)")
            threading.Event().wait()
    except KeyboardInterrupt:
        _say("ended")


def _say(line: str) -> None:
    err.print(line, markup=False)
