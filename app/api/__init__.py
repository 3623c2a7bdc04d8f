"""The HTTP API: one router per file, included before the pages."""

from fastapi import APIRouter

from rankscope.app.api import compare, live, queue, runs

ROUTERS: tuple[APIRouter, ...] = (
    compare.router,
    live.router,
    runs.router,
    queue.router,
)
