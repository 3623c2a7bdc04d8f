"""The figures of a run's page: made once by Python, filled and kept up to date by the browser."""

import json
from typing import Annotated, Any

import plotly.graph_objects as go
from fastapi import APIRouter, Depends, Path, Request
from pydantic import ValidationError

from rankscope.app.door.identity import viewer
from rankscope.app.pages.contract import Site
from rankscope.app.plots.rank_map import rank_map
from rankscope.app.plots.training import accuracy_curves, loss_curves
from rankscope.app.settings_shown import settings_shown
from rankscope.models.external import read_run
from rankscope.storage.run_places import run_places

router = APIRouter()


@router.get("/api/runs/{run_id}/figures", dependencies=[Depends(viewer)])
def figures(run_id: Annotated[str, Path(max_length=16)], request: Request) -> dict[str, Any]:
    """Empty figures with the run's own places; ``rank_map`` is null until its modules are known."""
    site: Site = request.app.state.site
    places = run_places(site.engine, run_id)
    ranks = rank_map(places.modules, None, max_rank=places.max_rank, title="Rank of every adapter")
    return {
        "rank_map": _json(ranks) if places.modules else None,
        "loss": _json(loss_curves(places.num_steps)),
        "accuracy": _json(accuracy_curves(places.num_steps)),
        "settings": settings_shown(places.config),
        "other_version": _other_version(places.config),
    }


def _other_version(config: dict[str, Any]) -> str | None:
    """What to say where this version cannot read the run's configuration."""
    try:
        read_run(config)
    except ValidationError:
        return (
            "What it recorded is shown as it is; to resume, export or clone it, use the version "
            "that made it."
        )
    return None


def _json(figure: go.Figure) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(figure.to_json())
    return content
