"""Reading what a model is made of: asked for over HTTP, because it takes a process seconds."""

from typing import Any

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, ConfigDict, Field

from rankscope.app.door.identity import operator
from rankscope.app.form.targets import state_of
from rankscope.app.pages.contract import Site
from rankscope.models.reading import parse_config
from rankscope.tasks.client import ModelLists

router = APIRouter(prefix="/api/models/lists", tags=["models"], dependencies=[Depends(operator)])


class Asked(BaseModel):
    """Which model, as in a configuration."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: dict[str, Any]
    again: bool = Field(False, description="Read anew what was refused just now.")


@router.post("")
def read_model(request: Request, asked: Asked) -> dict[str, Any]:
    """``state`` ``reading``, ``known``, or ``refused`` with a ``message``."""
    model = parse_config({"model": asked.model, "data": {"kind": "scenes"}}).model
    site: Site = request.app.state.site
    lists = ModelLists(site.engine, site.answers)
    lists.ask(model, again=asked.again)
    return state_of(lists.look(model))
