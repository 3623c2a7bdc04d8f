"""The HTTP API: one router per file, included before the pages."""

from fastapi import APIRouter

from rankscope.app.api import (
    compare,
    controls,
    data_preview,
    evaluations,
    figures,
    ingest,
    live,
    model_lists,
    queue,
    runs,
    samples,
    uploads,
)

ROUTERS: tuple[APIRouter, ...] = (
    compare.router,
    controls.router,
    evaluations.router,
    data_preview.router,
    figures.router,
    ingest.router,
    live.router,
    model_lists.router,
    runs.router,
    queue.router,
    samples.router,
    uploads.router,
)
