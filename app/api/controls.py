"""Controls of a finished run over HTTP: configurations to launch, nothing is launched here."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request

from rankscope.app.api.run_ids import possible_run_id
from rankscope.app.door.identity import viewer
from rankscope.app.form.yaml_text import yaml_of
from rankscope.app.pages.contract import Site
from rankscope.models.freezing import Control
from rankscope.storage.freezing import freeze_run

router = APIRouter(tags=["runs"], dependencies=[Depends(viewer), Depends(possible_run_id)])


@router.get("/api/runs/{run_id}/control")
def read_control(
    run_id: str,
    request: Request,
    control: Control = "static",
    seed: Annotated[int | None, Query(ge=0, description="Of the shuffle; 0 by default.")] = None,
) -> dict[str, Any]:
    """A finished run's final ranks as a configuration, or another control of it."""
    site: Site = request.app.state.site
    config = freeze_run(site.engine, run_id, control=control, shuffle_seed=seed)
    return {"config": config.model_dump(mode="json"), "yaml": yaml_of(config)}
