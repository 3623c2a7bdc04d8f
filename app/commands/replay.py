"""``rankscope replay``: what another scheduler would have decided on a recorded run."""

from typing import Annotated

import typer

from rankscope.app.options import AsJson, Overrides, RunId
from rankscope.app.store import open_store
from rankscope.app.terminal import count, print_json, print_table
from rankscope.models.reading import parse_scheduler
from rankscope.models.schedulers.contract import Apply
from rankscope.models.schedulers.replay import ReplayedDecision
from rankscope.storage.replaying import replay_run
from rankscope.storage.runs import resolve_run
from rankscope.storage.settings import Settings


def replay(
    run: RunId,
    scheduler: Annotated[str, typer.Option("--scheduler", metavar="KIND", help="A planner.")],
    overrides: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Let a scheduler decide on the recorded views of a run, without training."""
    planner = parse_scheduler(scheduler, overrides)
    engine = open_store(Settings())
    run_id = resolve_run(engine, run)
    decisions = replay_run(engine, run_id, planner)
    if as_json:
        listed = [decision.model_dump(mode="json") for decision in decisions]
        print_json({"run": run_id, "scheduler": scheduler, "decisions": listed})
        return
    print_table(
        f"{scheduler} on the views of run {run_id}",
        ["step", "did", "params", "policy", "why"],
        [
            [str(one.step), _did(one), count(one.params), _policy(one), _why(one)]
            for one in decisions
        ],
    )


def _did(one: ReplayedDecision) -> str:
    if one.decision is None:
        return "nothing"
    return f"set {len(one.decision.ranks)} ranks" if isinstance(one.decision, Apply) else "kept"


def _policy(one: ReplayedDecision) -> str:
    return "off-policy" if one.is_off_policy else "as recorded"


def _why(one: ReplayedDecision) -> str:
    if one.decision is None:
        return f"asked for {', '.join(one.not_recorded)}, which the run did not record"
    return one.decision.reason
