"""The HTTP API: one router per file, included before the pages."""

from fastapi import APIRouter

from rankscope.app.api import compare, controls, figures, ingest, live, queue, runs, samples

ROUTERS: tuple[APIRouter, ...] = (
    compare.router,
    controls.router,
    figures.router,
    ingest.router,
    live.router,
    runs.router,
    queue.router,
    samples.router,
)
