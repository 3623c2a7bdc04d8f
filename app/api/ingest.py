"""Runs of other people's scripts over HTTP: open one, then tell of it, batch by batch."""

from typing import Annotated, TypeVar

from fastapi import APIRouter, Depends, HTTPException, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from rankscope.app.api.bodies import body_of
from rankscope.app.api.run_ids import possible_run_id
from rankscope.app.door.identity import Person, operator
from rankscope.models.events import Event, RunStatus
from rankscope.models.external import ExternalRun
from rankscope.models.inventory import Inventory
from rankscope.models.reading import ConfigError
from rankscope.storage.choices import Control
from rankscope.storage.external import ExternalRuns

MAX_EVENTS = 5_000
"""In one batch: a transaction of about a second."""
_MAX_NUMBER = 2**32 - 1 - MAX_EVENTS
"""Events of one run are numbered in 32 bits."""

router = APIRouter(prefix="/api/external", tags=["external"])
Operator = Annotated[Person, Depends(operator)]
Said = TypeVar("Said", bound=BaseModel)


class _Message(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Opening(_Message):
    """A run that begins somewhere else."""

    described: ExternalRun
    inventory: Inventory
    key: str = Field(
        min_length=8, max_length=200, description="The same key always opens the same run."
    )
    other_trainable_params: int = Field(
        0, ge=0, lt=2**63, description="Trained beside the adapters, for instance a head."
    )


class Batch(_Message):
    """What happened since the last batch, in order; without events a sign of life."""

    attempt: int = Field(ge=1)
    first: int = Field(ge=1, le=_MAX_NUMBER, description="Number of the first event, from 1.")
    events: list[Event] = Field(max_length=MAX_EVENTS)


class Opened(BaseModel):
    """Where to tell of the run, and from which number on."""

    run: str
    attempt: int
    last: int = Field(description="Number of the last event recorded, 0 for none.")
    heartbeat_s: float = Field(description="A longer silence may make the run look lost.")


class Received(BaseModel):
    """Where the run stands now, and what people have asked of it."""

    last: int
    status: RunStatus
    requests: list[Control]


@router.post("", status_code=201)
async def open_run(request: Request, person: Operator) -> Opened:
    """Open a run of the person's own; opening it twice is opening it once."""
    opening = await _said(request, Opening)
    opened = await run_in_threadpool(
        _runs(request).open,
        opening.described,
        opening.inventory,
        owner=person.name,
        # two people who happen to choose one key do not mean one run
        key=f"external/{person.name}/{opening.key}",
        other_trainable_params=opening.other_trainable_params,
    )
    return Opened(
        run=opened.run_id,
        attempt=opened.attempt,
        last=opened.last,
        heartbeat_s=opened.lease_s / 3,
    )


@router.post("/{run_id}/events", dependencies=[Depends(possible_run_id)])
async def receive(request: Request, run_id: str, person: Operator) -> Received:
    """Record a batch of a run that the person opened; sending it again changes nothing."""
    batch = await _said(request, Batch)
    runs = _runs(request)
    owner = await run_in_threadpool(runs.owner, run_id)
    if owner != person.name and not person.may("admin"):
        raise HTTPException(
            403, f"a run is told of by who opened it, {run_id} is {owner}'s; open one of your own"
        )
    got = await run_in_threadpool(runs.receive, run_id, batch.attempt, batch.first, batch.events)
    return Received(last=got.last, status=got.status, requests=sorted(got.requests))


async def _said(request: Request, message: type[Said]) -> Said:
    """The body as a message; JSON that writes NaN for a loss is read as such."""
    body = await body_of(request)
    if b"\\u0000" in body:
        raise ConfigError("texts must not hold the character NUL, which no database keeps; drop it")
    try:
        return await run_in_threadpool(message.model_validate_json, body)
    except ValidationError as error:
        wrong = [{**one, "loc": ("body", *one["loc"])} for one in error.errors()]
        raise RequestValidationError(wrong) from error


def _runs(request: Request) -> ExternalRuns:
    runs: ExternalRuns = request.app.state.external_runs
    return runs
