"""``rankscope replay``: what another scheduler would have decided on a recorded run."""

from typing import Annotated

import typer
from sqlalchemy import Engine

from rankscope.app.options import AsJson, Overrides, RunId
from rankscope.app.store import open_store
from rankscope.app.terminal import count, print_json, print_table
from rankscope.models.reading import ConfigError, parse_scheduler
from rankscope.models.schedulers.contract import Apply, RankPlanner
from rankscope.models.schedulers.replay import RecordedDecision, ReplayedDecision
from rankscope.models.schedulers.replay import replay as replay_planner
from rankscope.storage import history
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
    if not isinstance(planner, RankPlanner):
        raise ConfigError(
            f"--scheduler must be a planner, got {scheduler!r} which trains by itself; "
            "choose for instance hydra"
        )
    engine = open_store(Settings())
    run_id = resolve_run(engine, run)
    recorded = _recorded(engine, run_id)
    if not recorded:
        raise ConfigError(
            f"a replay needs recorded decisions, run {run_id} has none; "
            "replay a run whose scheduler is a planner"
        )
    decisions = replay_planner(planner, recorded)
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


def _recorded(engine: Engine, run_id: str) -> list[RecordedDecision]:
    """The run's decisions, each with the measurements made for it."""
    measured = history.measurements(engine, run_id)
    return [
        RecordedDecision(
            view=decided.view,
            measured=tuple(
                pair
                for one in measured
                if one.step == decided.step and one.request is not None
                for pair in zip(one.request.requests, one.results, strict=True)
            ),
        )
        for decided in history.decisions(engine, run_id)
    ]


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
