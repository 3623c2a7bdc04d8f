"""Replay a recorded run: what another scheduler would have decided on what the run recorded."""

from sqlalchemy import Engine

from rankscope.models.reading import ConfigError
from rankscope.models.schedulers import AnyScheduler
from rankscope.models.schedulers.checked import PlannerError
from rankscope.models.schedulers.contract import RankPlanner
from rankscope.models.schedulers.replay import RecordedDecision, ReplayedDecision, replay
from rankscope.storage import history


def replay_run(
    engine: Engine, run_id: str, scheduler: AnyScheduler
) -> tuple[ReplayedDecision, ...]:
    """Let a scheduler decide on the recorded views of a run, without training.

    Raises:
        ConfigError: The scheduler trains by itself or cannot work with the run's modules, or the
            run recorded no decisions.
        UnknownRunError: If there is no such run.
    """
    if not isinstance(scheduler, RankPlanner):
        raise ConfigError(
            f"the scheduler of a replay must be a planner, got {scheduler.kind!r} which trains by "
            "itself; choose for instance hydra"
        )
    recorded = recorded_decisions(engine, run_id)
    if not recorded:
        raise ConfigError(
            f"a replay needs recorded decisions, run {run_id} has none; "
            "replay a run whose scheduler is a planner"
        )
    try:
        return replay(scheduler, recorded)
    except (ValueError, PlannerError) as error:  # these say rule, value and remedy themselves
        raise ConfigError(str(error)) from error


def recorded_decisions(engine: Engine, run_id: str) -> list[RecordedDecision]:
    """The run's decisions in order, each with the measurements made for it."""
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
