"""What a model would see of a data set: rows, tokens, the mask of the loss, broken rows."""

import json
from typing import Any

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, ConfigDict, Field

from rankscope.app.door.identity import operator
from rankscope.app.pages.contract import Site
from rankscope.models.reading import parse_config
from rankscope.tasks.client import Answered, Refused, data_request

router = APIRouter(prefix="/api/data/preview", tags=["data"], dependencies=[Depends(operator)])


class Asked(BaseModel):
    """Which data for which model, as in a configuration."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: dict[str, Any]
    data: dict[str, Any]
    again: bool = Field(False, description="Read anew what is known already.")


@router.post("")
def read_preview(request: Request, asked: Asked) -> dict[str, Any]:
    """``state`` ``reading``, ``ready`` with the ``preview``, or ``refused`` with a ``message``.

    The first question starts a process that takes seconds; the same question tells how far it is.
    """
    config = parse_config({"model": asked.model, "data": asked.data})
    site: Site = request.app.state.site
    answer = site.answers.look("previewing", data_request(config), config=config, again=asked.again)
    match answer:
        case Answered():
            return {"state": "ready", "preview": json.loads(answer.text)}
        case Refused():
            return {"state": "refused", "message": answer.message}
        case _:
            return {"state": "reading", "elapsed_s": answer.elapsed_s}
