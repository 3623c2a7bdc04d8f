"""``rankscope runs``, ``show`` and ``logs``: what is recorded."""

import time
from typing import Annotated, get_args

import typer

from rankscope.app.options import AsJson, RunId
from rankscope.app.store import open_store
from rankscope.app.summary import print_summary
from rankscope.app.terminal import count, err, out, percent, print_json, print_table, records
from rankscope.models.events import OPEN_STATUSES, Failed, RunStatus
from rankscope.models.reading import ConfigError
from rankscope.models.schedulers.contract import Apply, Keep
from rankscope.storage import history
from rankscope.storage.artifacts import RunFolder
from rankscope.storage.finding import RunFilter, list_runs
from rankscope.storage.runs import get_run, resolve_run
from rankscope.storage.settings import Settings

FOLLOW_POLL_S = 0.5


def runs(
    status: Annotated[list[str] | None, typer.Option(help="Only runs in this status.")] = None,
    tag: Annotated[str, typer.Option(help="Only runs with this tag.")] = "",
    limit: Annotated[int, typer.Option(min=1, help="At most so many, the newest.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List runs, the newest first."""
    unknown = sorted(set(status or []) - set(get_args(RunStatus)))
    if unknown:
        known = ", ".join(get_args(RunStatus))
        raise ConfigError(f"--status must be one of {known}, got {unknown[0]!r}; choose one")
    which = RunFilter.model_validate({"statuses": status or [], "tag": tag, "limit": limit})
    found = list_runs(open_store(Settings()), which)
    if as_json:
        print_json({"runs": records(found)})
        return
    if found.empty:
        out.print("no runs yet; start one with: rankscope run configs/demo.yaml")
        return
    print_table(
        "Runs",
        ["run", "status", "scheduler", "seed", "budget", "step", "accuracy", "name", "created"],
        [
            [
                row["id"],
                row["status"],
                row["scheduler"],
                str(row["seed"]),
                count(row["budget_params"]),
                f"{row['step']:,}/{row['num_steps']:,}",
                percent(row["accuracy"]),
                row["name"],
                f"{row['created_at']:%Y-%m-%d %H:%M}",
            ]
            for row in records(found)
        ],
    )


def show(run: RunId, as_json: AsJson = False) -> None:
    """Show a run: result, scores, every decision with its reason, ranks now."""
    engine = open_store(Settings())
    run_id = resolve_run(engine, run)
    record = get_run(engine, run_id)
    summary = history.summary(engine, run_id)
    decided = history.decisions(engine, run_id)
    ranks = history.rank_map(engine, run_id)
    if as_json:
        answer = summary.model_dump(mode="json") | {
            "config": record.described.model_dump(mode="json"),
            "status_reason": record.status_reason,
            "ranks": ranks,
            "decision_log": [
                {"step": one.view.step} | one.decision.model_dump(mode="json") for one in decided
            ],
        }
        print_json(answer)
        return
    print_summary(summary)
    if record.status_reason:
        out.print(f"reason: {record.status_reason}\n", markup=False)
    print_table(
        "Decisions",
        ["step", "did", "why"],
        [
            [
                f"{one.view.step}",
                _did(one.decision),
                one.decision.reason,
            ]
            for one in decided
        ],
    )
    held = {name: rank for name, rank in ranks.items() if rank}
    out.print()
    print_table(
        f"Ranks ({len(held)} of {len(ranks)} modules hold an adapter)",
        ["module", "rank"],
        [[name, str(rank)] for name, rank in held.items()],
    )


def _did(decision: Apply | Keep | Failed) -> str:
    match decision:
        case Apply():
            return f"set {len(decision.ranks)} ranks"
        case Keep():
            return "kept"
    return "failed, kept to the end"


def logs(
    run: RunId,
    follow: Annotated[
        bool, typer.Option("-f", "--follow", help="Go on while the run is live.")
    ] = False,
) -> None:
    """Print a run's log."""
    settings = Settings()
    engine = open_store(settings)
    run_id = resolve_run(engine, run)
    path = RunFolder(settings, run_id).log_path
    if not path.exists():
        err.print(f"the log of run {run_id} is not on this machine; its recorded lines:")
        for line in history.log_lines(engine, run_id)["text"]:
            out.print(line, markup=False)
        return
    with path.open(encoding="utf-8", errors="replace") as log:
        while True:
            for line in log:
                out.print(line.rstrip("\n"), markup=False)
            if not follow or get_run(engine, run_id).status not in OPEN_STATUSES:
                break
            time.sleep(FOLLOW_POLL_S)
