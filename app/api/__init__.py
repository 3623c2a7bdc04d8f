"""The HTTP API: one router per file, included before the pages."""

from fastapi import APIRouter

from rankscope.app.api import (
    compare,
    controls,
    evaluations,
    figures,
    ingest,
    live,
    queue,
    runs,
    samples,
)

ROUTERS: tuple[APIRouter, ...] = (
    compare.router,
    controls.router,
    evaluations.router,
    figures.router,
    ingest.router,
    live.router,
    runs.router,
    queue.router,
    samples.router,
)
