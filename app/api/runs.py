"""Runs over HTTP: launch, list, read, stop, resume, export."""

import io
import zipfile
from pathlib import Path
from typing import Annotated, Any

import yaml
from fastapi import APIRouter, Depends, HTTPException, Query, Request
from fastapi.responses import FileResponse, PlainTextResponse, Response
from pydantic import BaseModel, ConfigDict, Field

from rankscope.app.api.rows import run_row
from rankscope.app.api.run_ids import possible_run_id
from rankscope.app.door.identity import Person, operator, viewer
from rankscope.app.form.yaml_text import yaml_of
from rankscope.app.pages.contract import Site
from rankscope.models.events import RunStatus
from rankscope.models.external import is_external
from rankscope.models.reading import ConfigError, parse_config
from rankscope.storage.artifacts import RunFolder, StoredArtifact, list_artifacts
from rankscope.storage.finding import RunFilter, find_run, find_runs
from rankscope.storage.history import log_lines
from rankscope.storage.runs import DEFAULT_QUEUE, NORMAL_PRIORITY
from rankscope.tasks import client

MAX_LISTED = 5000
"""About 4 MB of JSON."""

router = APIRouter(
    prefix="/api/runs", tags=["runs"], dependencies=[Depends(viewer), Depends(possible_run_id)]
)

Operator = Annotated[Person, Depends(operator)]


class Submission(BaseModel):
    """What is to run, and how often."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    config: dict[str, Any] = Field(description="A run's configuration, as in YAML.")
    seeds: list[int] | None = Field(None, description="One run each; null takes the config's own.")
    idempotency_key: str | None = Field(
        None, min_length=1, max_length=200, description="The same key always gives the same runs."
    )
    priority: int = Field(NORMAL_PRIORITY, ge=0, le=9, description="0 is the most urgent.")
    queue: str = Field(DEFAULT_QUEUE, min_length=1, max_length=100)


class Listing(BaseModel):
    """Which runs; every condition must hold, and of a repeated one any value will do."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    status: list[RunStatus] = []
    scheduler: list[str] = []
    data: str = ""
    owner: str = ""
    q: str = Field("", description="Words, each of which is in the id, the name or a tag.")
    budget_min: int | None = None
    budget_max: int | None = None
    limit: int = Field(200, ge=1, le=MAX_LISTED)
    offset: int = Field(0, ge=0)

    def filter(self) -> RunFilter:
        """The same for the database."""
        return RunFilter(
            statuses=frozenset(self.status),
            schedulers=frozenset(self.scheduler),
            owner=self.owner,
            data_contains=self.data,
            words=self.q,
            budget_min=self.budget_min,
            budget_max=self.budget_max,
            limit=self.limit,
            offset=self.offset,
        )


@router.post("", status_code=201)
def launch(request: Request, submission: Submission, person: Operator) -> dict[str, list[str]]:
    """Put runs into the queue."""
    site, key = _site(request), submission.idempotency_key
    run_ids = client.submit(
        site.engine,
        site.settings,
        parse_config(submission.config),
        owner=person.name,
        seeds=submission.seeds,
        # two people who happen to choose one key do not mean one run
        idempotency_key=None if key is None else f"{person.name}/{key}",
        priority=submission.priority,
        queue=submission.queue,
    )
    return {"runs": run_ids}


@router.get("")
def read_runs(request: Request, listing: Annotated[Listing, Query()]) -> dict[str, Any]:
    """Runs, newest first, and how many there are without the limit."""
    found = find_runs(_site(request).engine, listing.filter())
    return {"runs": [run_row(run) for run in found.runs], "total": found.total}


@router.get("/{run_id}")
def read_run(request: Request, run_id: str) -> dict[str, Any]:
    """One run with its configuration; also one that another version made."""
    row = run_row(find_run(_site(request).engine, run_id))
    return row | {"yaml": _yaml(row["config"])}


@router.get("/{run_id}/log", response_class=PlainTextResponse)
def read_log(request: Request, run_id: str) -> Response:
    """What its training processes wrote, from the beginning."""
    site = _site(request)
    run = find_run(site.engine, run_id)
    path = RunFolder(site.settings, run_id).log_path
    if path.is_file():
        return FileResponse(path, media_type="text/plain")
    if is_external(run["config"]):
        return PlainTextResponse("\n".join(log_lines(site.engine, run_id)["text"]))
    if run["attempt"] == 0:
        return PlainTextResponse("")
    raise HTTPException(
        404,
        f"the log of run {run_id} must lie under {site.settings.runs_dir}, it does not; "
        "look on the machine that trained it",
    )


@router.get("/{run_id}/adapter")
def read_adapter(request: Request, run_id: str) -> Response:
    """The newest exported adapter as a zip file that PEFT can load once it is unpacked."""
    site = _site(request)
    find_run(site.engine, run_id)
    folder = RunFolder(site.settings, run_id)
    exported = [a for a in list_artifacts(site.engine, run_id) if a.kind == "adapter"]
    on_disk = [artifact for artifact in exported if folder.inside(artifact.path).is_dir()]
    if not on_disk:
        raise HTTPException(
            404, f"run {run_id} has no exported adapter here; export it first, then try again"
        )
    newest: StoredArtifact = max(on_disk, key=lambda artifact: artifact.created_at)
    name = f"{run_id}-step-{newest.step}.zip"
    return Response(
        _zipped(folder.inside(newest.path)),
        media_type="application/zip",
        headers={"content-disposition": f'attachment; filename="{name}"'},
    )


@router.post("/{run_id}/stop", dependencies=[Depends(operator)])
def stop(request: Request, run_id: str) -> dict[str, RunStatus]:
    """Stop a waiting run at once, a live one at its next step."""
    site = _site(request)
    return {"status": client.stop(site.engine, site.settings, run_id)}


@router.post("/{run_id}/resume", dependencies=[Depends(operator)])
def resume(request: Request, run_id: str) -> dict[str, RunStatus]:
    """Let a run that ended, but not as done, go on from its last checkpoint."""
    site = _site(request)
    return {"status": client.resume(site.engine, site.settings, run_id)}


@router.post("/{run_id}/export", dependencies=[Depends(operator)])
def export(request: Request, run_id: str) -> dict[str, RunStatus]:
    """Have a worker export the last checkpoint; the run's artifacts show it when it is there."""
    site = _site(request)
    try:
        client.request_export(site.engine, site.settings, run_id)
    except client.QueueAway as error:
        raise HTTPException(503, str(error)) from error
    return {"status": find_run(site.engine, run_id)["status"]}


def _site(request: Request) -> Site:
    site: Site = request.app.state.site
    return site


def _yaml(config: dict[str, Any]) -> str:
    """What differs from the defaults; the whole of a config that this version cannot read."""
    try:
        return yaml_of(parse_config(config))
    except ConfigError:
        return yaml.safe_dump(config, sort_keys=False, allow_unicode=True)


def _zipped(folder: Path) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                archive.write(file, file.relative_to(folder))
    return content.getvalue()
