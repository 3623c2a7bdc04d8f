"""The page of one run: its history as JSON, then its live tail by WebSocket."""

import asyncio
import time
from contextlib import suppress
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request, Response, WebSocket
from fastapi.concurrency import run_in_threadpool
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from starlette.websockets import WebSocketDisconnect

from rankscope.app.door.identity import viewer
from rankscope.app.live import UNKNOWN_RUN_CODE, Hub, Viewer
from rankscope.app.pages.contract import Site
from rankscope.storage.errors import UnknownRunError
from rankscope.storage.run_page import last_event_id

router = APIRouter()

_WAIT_S = 3.0
"""How long a page may wait for an event to reach the database, which takes half a second."""
_LOOK_AGAIN_S = 0.1
_HANG_UP_S = 2.0
_MAX_CURSOR = 2**53
"""Largest whole number that JSON carries safely in a browser."""

Cursor = Annotated[int, Query(ge=0, lt=_MAX_CURSOR)]


@router.get("/api/runs/{run_id}/page", dependencies=[Depends(viewer)])
async def page(
    run_id: Annotated[str, Path(max_length=16)], request: Request, after: Cursor = 0
) -> Response:
    """History as it stands, once the database holds event ``after`` or three seconds are over."""
    site: Site = request.app.state.site
    deadline = time.monotonic() + _WAIT_S
    while (
        await run_in_threadpool(last_event_id, site.engine, run_id) < after
        and time.monotonic() < deadline
    ):
        await asyncio.sleep(_LOOK_AGAIN_S)
    hub: Hub = request.app.state.hub
    return Response(await hub.pages.read(run_id), media_type="application/json")


@router.websocket("/live")
async def live(
    websocket: WebSocket,
    run: Annotated[str, Query(max_length=16)],
    cursor: Annotated[int, Query(ge=0, lt=_MAX_CURSOR, alias="from")] = 0,
) -> None:
    """Everything after event ``from``, until the page goes; the guard has seen who asks."""
    site: Site = websocket.app.state.site
    hub: Hub = websocket.app.state.hub
    await websocket.accept()
    if not await _is_known(site, run):
        await websocket.close(UNKNOWN_RUN_CODE)
        return
    async with hub.watch(run, cursor) as watching:
        tasks = {
            asyncio.create_task(_send_all(websocket, watching)),
            asyncio.create_task(_until_gone(websocket)),
            asyncio.create_task(watching.closed()),
        }
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    if watching.close_code is not None:
        with suppress(RuntimeError, WebSocketDisconnect, TimeoutError):
            await asyncio.wait_for(websocket.close(watching.close_code), _HANG_UP_S)


async def _is_known(site: Site, run_id: str) -> bool:
    """Whether there is such a run; with the database away the viewer has the benefit of doubt."""
    try:
        await run_in_threadpool(last_event_id, site.engine, run_id)
    except UnknownRunError:
        return False
    except (DBAPIError, PoolTimeoutError):
        pass
    return True


async def _send_all(websocket: WebSocket, watching: Viewer) -> None:
    async for text in watching.messages():
        await websocket.send_text(text)


async def _until_gone(websocket: WebSocket) -> None:
    """Pages say nothing: whatever they send is dropped, and its end is the page's end."""
    while (await websocket.receive())["type"] != "websocket.disconnect":
        pass
