"""Evaluations on benchmarks over HTTP: start, list, read, stop, resume, compare."""

from typing import Annotated, Any, get_args

from fastapi import APIRouter, Depends, Query, Request

from rankscope.app.door.identity import Person, operator, viewer
from rankscope.app.pages.contract import Site
from rankscope.app.shown_evaluations import difference_row, evaluation_row
from rankscope.models.benchmarks import BENCHMARKS
from rankscope.models.benchmarks.files import OFFICIAL_NAMES
from rankscope.models.vlms import AnyVlm
from rankscope.storage.benchmark_answers import read_answers
from rankscope.storage.benchmark_figures import compare
from rankscope.storage.errors import no_such_evaluation
from rankscope.storage.evaluations import get_evaluation, list_evaluations, stop_evaluation
from rankscope.storage.ids import is_run_id
from rankscope.tasks import client

MAX_LISTED = 200
PAGE_ITEMS = 50


async def possible_id(request: Request) -> None:
    """FastAPI dependency of routes with an ``evaluation_id``.

    Raises:
        UnknownEvaluationError: If no evaluation can have this id.
    """
    evaluation_id = request.path_params.get("evaluation_id")
    if evaluation_id is not None and not is_run_id(evaluation_id):
        raise no_such_evaluation(evaluation_id)


router = APIRouter(
    prefix="/api/evaluations",
    tags=["evaluations"],
    dependencies=[Depends(viewer), Depends(possible_id)],
)

Operator = Annotated[Person, Depends(operator)]


@router.post("", status_code=201)
def start(request: Request, wish: client.Wish, person: Operator) -> dict[str, str]:
    """Put an evaluation into the queue; the benchmark's files are read first."""
    site = _site(request)
    evaluation_id = client.add_evaluation(
        site.engine, site.settings, wish, origin="queue", owner=person.name
    )
    return {"evaluation": evaluation_id}


@router.get("")
def read_evaluations(
    request: Request, run: Annotated[str | None, Query(max_length=100)] = None
) -> dict[str, Any]:
    """Evaluations, the newest first; those of one run only, if it is given."""
    found = list_evaluations(_site(request).engine, run_id=run, limit=MAX_LISTED)
    return {"evaluations": [evaluation_row(one) for one in found]}


@router.get("/choices")
def read_choices(request: Request) -> dict[str, Any]:
    """The benchmarks with their files' official names, the kinds of models, and the data root."""
    return {
        "suites": [
            {
                "kind": benchmark.model_fields["kind"].default,
                "title": benchmark.model_config.get("title"),
                "files": OFFICIAL_NAMES[benchmark.model_fields["kind"].default],
            }
            for benchmark in BENCHMARKS
        ],
        "models": [
            {
                "kind": model.model_fields["kind"].default,
                "title": model.model_config.get("title") or model.model_fields["kind"].default,
            }
            for model in get_args(get_args(AnyVlm)[0])
        ],
        "data_root": str(_site(request).settings.roots.data),
    }


@router.get("/{evaluation_id}")
def read_evaluation(request: Request, evaluation_id: str) -> dict[str, Any]:
    """One evaluation."""
    return evaluation_row(get_evaluation(_site(request).engine, evaluation_id))


@router.get("/{evaluation_id}/answers")
def read_items(
    request: Request,
    evaluation_id: str,
    offset: Annotated[int, Query(ge=0)] = 0,
    only: Annotated[str, Query(pattern="^(all|wrong)$")] = "all",
) -> dict[str, Any]:
    """What was answered to each item and what it scored, a page at a time."""
    engine = _site(request).engine
    get_evaluation(engine, evaluation_id)
    found = [
        answer
        for answer in read_answers(engine, evaluation_id)
        if only == "all" or (answer.score is not None and answer.score < 1)
    ]
    shown = found[offset : offset + PAGE_ITEMS]
    return {"answers": [answer._asdict() for answer in shown], "total": len(found)}


@router.get("/{evaluation_id}/difference")
def read_difference(
    request: Request, evaluation_id: str, to: Annotated[str, Query(max_length=16)]
) -> dict[str, Any]:
    """How it differs from another on the same items, with a paired 95 % interval."""
    engine = _site(request).engine
    ours, theirs = get_evaluation(engine, evaluation_id), get_evaluation(engine, to)
    return difference_row(compare(engine, ours, theirs))


@router.post("/{evaluation_id}/stop", dependencies=[Depends(operator)])
def stop(request: Request, evaluation_id: str) -> dict[str, str]:
    """Stop a waiting evaluation at once, a live one within its batch; its answers stay."""
    return {"status": stop_evaluation(_site(request).engine, evaluation_id)}


@router.post("/{evaluation_id}/resume", dependencies=[Depends(operator)])
def resume(request: Request, evaluation_id: str) -> dict[str, str]:
    """Let one that stopped or failed go on with what is not answered yet."""
    site = _site(request)
    queue = get_evaluation(site.engine, evaluation_id).queue
    client.resume_evaluation(site.engine, site.settings, evaluation_id, queue)
    return {"status": "queued"}


def _site(request: Request) -> Site:
    site: Site = request.app.state.site
    return site
