"""What one run left in the database, as far as the benchmark reads it."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sqlalchemy import Engine

from benchmarks.science.protocol import Cell
from rankscope.models.events import RunStatus
from rankscope.storage import history
from rankscope.storage.runs import get_run

TRAINING_BEGINS = "running: training"
"""Line of a run's log between the decision at step 0 and the first step."""


@dataclass(frozen=True)
class OfflineCost:
    """The offline model that a run's scheduler was handed, and what its runs had taken."""

    name: str
    families: tuple[str, ...]
    num_runs: int
    train_s: float


@dataclass(frozen=True)
class Record:
    """One run; scores are None where it did not come so far."""

    cell: Cell
    run: str
    status: RunStatus
    reason: str
    commit: str
    lr: float
    steps: int
    correct_N: npt.NDArray[np.bool_] | None
    accuracy: float | None
    loss: float | None
    budget_params: int
    max_live_params: int
    num_over_budget: int
    measurement_s: float
    steering_s: float
    train_s: float
    step_s: float
    rank_events: int
    ranks: dict[str, int]
    offline: OfflineCost | None = None

    @property
    def steering_steps(self) -> float:
        """What the decisions cost, in steps of this run."""
        return self.steering_s / self.step_s if self.step_s else 0.0


def record_of(engine: Engine, cell: Cell, run_id: str) -> Record:
    """Read a run."""
    run = get_run(engine, run_id)
    summary = history.summary(engine, run_id)
    when = "after" if cell.part == "test" else "during"
    scores = [
        score
        for score in history.evaluations(engine, run_id)
        if (score.part, score.when) == (cell.part, when)
    ]
    last = scores[-1] if scores else None
    budget = run.budget_params or 0
    samples = history.numel_samples(engine, run_id)["live_params"].to_numpy()
    steps = history.metrics(engine, run_id)["step_s"].to_numpy()
    return Record(
        cell=cell,
        run=run_id,
        status=run.status,
        reason=run.status_reason,
        commit=next((tag for tag in run.config.tags if tag.startswith("commit")), ""),
        lr=run.config.optimizer.lr,
        steps=run.config.training.steps,
        correct_N=last.correct if last else None,
        accuracy=last.accuracy if last else None,
        loss=last.loss if last else None,
        budget_params=budget,
        max_live_params=summary.max_live_params or 0,
        num_over_budget=int((samples > budget).sum()),
        measurement_s=summary.measurement_s,
        # What prepares an arm's start is measured too, but before any step and decision.
        steering_s=max(steering_s(engine, run_id), summary.measurement_s),
        train_s=float(steps.sum()),
        step_s=float(np.median(steps)) if len(steps) else 0.0,
        rank_events=summary.rank_events,
        ranks=history.rank_map(engine, run_id),
        offline=_offline(engine, run_id),
    )


def steering_s(engine: Engine, run_id: str) -> float:
    """Seconds that a run's decisions took: measuring, planning, resizing.

    The time of a step excludes what happens between steps. So a decision after step k costs the
    pause before step k + 1 beyond the usual one (the median over the other pauses); that at step 0
    the time between the first count of parameters and the word that training begins.
    """
    decided = {decision.step for decision in history.decisions(engine, run_id)}
    if not decided:
        return 0.0
    metrics = history.metrics(engine, run_id)
    times_T, steps_T = metrics["time"].to_numpy(), metrics["step"].to_numpy()
    pauses = np.diff(times_T) - metrics["step_s"].to_numpy()[1:]
    is_decision = np.isin(steps_T[:-1], list(decided))
    usual_s = float(np.median(pauses[~is_decision])) if (~is_decision).any() else 0.0
    total_s = float(np.maximum(pauses[is_decision] - usual_s, 0.0).sum())
    if 0 in decided:
        lines = history.log_lines(engine, run_id)
        begins = lines.loc[lines["text"] == TRAINING_BEGINS, "time"]
        counted = history.numel_samples(engine, run_id)["time"]
        if len(begins) and len(counted):
            total_s += max(0.0, float(begins.iloc[0]) - float(counted.iloc[0]))
    return total_s


def _offline(engine: Engine, run_id: str) -> OfflineCost | None:
    for decided in history.decisions(engine, run_id):
        model = decided.view.offline
        if model is not None:
            about = model.provenance
            return OfflineCost(model.name, model.families, about.num_runs, about.train_s)
    return None
