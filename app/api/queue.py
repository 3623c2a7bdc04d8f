"""The queue over HTTP: who waits in which order, who runs where, which workers there are."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Literal

from fastapi import APIRouter, Depends, Request
from sqlalchemy import Engine

from rankscope.app.api.rows import run_row
from rankscope.app.api.run_ids import possible_run_id
from rankscope.app.door.identity import operator, viewer
from rankscope.app.moments import in_epoch_seconds
from rankscope.app.pages.contract import Site
from rankscope.app.shown_evaluations import evaluation_row
from rankscope.models.events import LIVE_STATUSES, OPEN_STATUSES, RunStatus
from rankscope.storage import queue_order
from rankscope.storage.evaluations import list_evaluations
from rankscope.storage.finding import RunFilter, find_runs
from rankscope.storage.workers import list_workers

router = APIRouter(
    prefix="/api", tags=["queue"], dependencies=[Depends(viewer), Depends(possible_run_id)]
)

Change = Literal["hold", "release", "up", "down", "first"]
_CHANGES: dict[Change, Callable[[Engine, str], None]] = {
    "hold": queue_order.hold,
    "release": queue_order.release,
    "up": queue_order.move_up,
    "down": queue_order.move_down,
    "first": queue_order.move_first,
}


@router.get("/queue")
def read_queue(request: Request) -> dict[str, Any]:
    """Waiting runs, the next first; live runs and open evaluations, the newest first; workers."""
    engine = _engine(request)
    waiting = queue_order.queue_listing(engine)
    live = find_runs(engine, RunFilter(statuses=LIVE_STATUSES)).runs
    workers = list_workers(engine, datetime.now(UTC))
    return {
        "queued": [in_epoch_seconds(run.model_dump()) for run in waiting],
        "running": [run_row(run) for run in live],
        "evaluations": [
            evaluation_row(one) for one in list_evaluations(engine) if one.status in OPEN_STATUSES
        ],
        "workers": [in_epoch_seconds(worker.model_dump()) for worker in workers],
    }


@router.post("/runs/{run_id}/{change}", dependencies=[Depends(operator)])
def change_place(request: Request, run_id: str, change: Change) -> dict[str, RunStatus]:
    """Hold a waiting run back, release it, or move it in its queue."""
    _CHANGES[change](_engine(request), run_id)
    return {"status": "queued"}


def _engine(request: Request) -> Engine:
    site: Site = request.app.state.site
    return site.engine
