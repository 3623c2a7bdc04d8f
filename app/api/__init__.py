"""The HTTP API: one router per file, included before the pages."""

from fastapi import APIRouter

ROUTERS: tuple[APIRouter, ...] = ()
