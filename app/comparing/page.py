"""All that the page *Compare* shows, as JSON: table, verdict, curves and rank maps of runs."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from sqlalchemy import Engine

from rankscope.app.comparing.pooling import PooledMap, pooled_curves, pooled_map
from rankscope.app.comparing.verdict import verdict
from rankscope.app.plots.comparison import Curve, CurveKind, curve_figure, map_figures
from rankscope.app.terminal import records
from rankscope.storage.compared_runs import (
    ComparedRun,
    CurvePoint,
    compared_runs,
    loss_curves,
    rank_maps,
    revision,
    validation_curves,
)
from rankscope.storage.comparison import Comparison, compare

POINTS_PER_CURVE = 80
"""Windows of training loss over a run: smooth enough to tell curves apart, fine enough to see."""


class Shown(NamedTuple):
    """What a person chose to see of the curves and the maps."""

    curves: Literal["mean", "runs"] = "mean"
    seed: int | None = None
    """Rank maps of this seed's runs; the mean over seeds by default."""


def comparison_page(
    engine: Engine, run_ids: Sequence[str], *, baseline: str | None, shown: Shown
) -> dict[str, Any]:
    """Build the page.

    Raises:
        UnknownRunError: If a run does not exist or the baseline is not among the runs.
    """
    seen = revision(engine, run_ids)  # first: what changes meanwhile is told by the next call
    compared = compare(engine, run_ids, baseline=baseline)
    runs = compared_runs(engine, run_ids)
    arms = _arms(compared, runs)
    said = verdict(compared)
    return {
        "revision": seen,
        "num_open": compared.num_open,
        "num_runs": len(runs),
        "baseline": compared.baseline,
        "verdict": {
            "answer": said.answer,
            "is_known": said.is_known,
            "findings": [{"finding": finding, "text": text} for finding, text in said.findings],
            "caveats": list(said.caveats),
        },
        "warnings": list(compared.warnings),
        "arms": arms,
        "seeds": sorted({run.seed for run in runs.values()}),
        "differences": [
            {"key": key, "values": values}
            for key, values in zip(
                compared.differences.index.tolist(),
                compared.differences.to_numpy().tolist(),
                strict=True,
            )
        ],
        "curves": _curves(engine, arms, runs, shown),
        "maps": _maps(engine, arms, runs, shown),
    }


def _arms(compared: Comparison, runs: Mapping[str, ComparedRun]) -> list[dict[str, Any]]:
    """One record per configuration, its runs by seed within."""
    paired = {pair["configuration"]: pair for pair in records(compared.paired)}
    arms = []
    for row in records(compared.rows):
        members = sorted((runs[run_id] for run_id in row["runs"]), key=lambda run: run.seed)
        finals = {run.final_params for run in members if run.final_params is not None}
        arms.append(
            row
            | {
                "is_baseline": row["configuration"] == compared.baseline,
                "difference": paired.get(row["configuration"]),
                "runs": [run.model_dump() for run in members],
                "final_params": max(finals, default=None),
                "wall_s": _mean(run.wall_s for run in members if run.status == "done"),
                "measurement_s": _mean(run.measurement_s for run in members),
                "measurement_items": _mean(run.measurement_items for run in members),
                "num_rank_events": _mean(run.num_rank_events for run in members),
                "moved_params": _mean(run.moved_params for run in members),
            }
        )
    return arms


def _curves(
    engine: Engine, arms: list[dict[str, Any]], runs: Mapping[str, ComparedRun], shown: Shown
) -> dict[str, Any]:
    """Figure and points of each kind of curve."""
    last_steps = {run.id: run.num_steps for run in runs.values()}
    window = max(1, math.ceil(max(last_steps.values()) / POINTS_PER_CURVE))
    curve_of: dict[str, str] = {}
    looks: dict[str, tuple[int, int]] = {}
    for color, arm in enumerate(arms):
        for dash, run in enumerate(arm["runs"]):
            name = arm["configuration"]
            if shown.curves == "runs":
                name += f", seed {run['seed']}"
                name += f" ({run['id']})" if name in looks else ""
            curve_of[run["id"]] = name
            looks[name] = color, dash if shown.curves == "runs" else 0
    points: dict[CurveKind, list[CurvePoint]] = {
        "loss": loss_curves(engine, list(runs), window),
        "validation": validation_curves(engine, list(runs)),
    }
    made: dict[str, Any] = {}
    for kind, some in points.items():
        pooled = pooled_curves(some, curve_of, last_steps)
        drawn = {name: Curve(curve, *looks[name]) for name, curve in pooled.items()}
        made[kind] = {
            "figure": curve_figure(
                kind, drawn, window_steps=window, num_steps=max(last_steps.values())
            ),
            "series": {name: [point._asdict() for point in pooled[name]] for name in pooled},
        }
    return made


def _maps(
    engine: Engine, arms: list[dict[str, Any]], runs: Mapping[str, ComparedRun], shown: Shown
) -> dict[str, Any]:
    """Rank maps of the configurations on one scale, and what each gives more than the baseline."""
    known = rank_maps(engine, list(runs))
    pooled: dict[str, PooledMap | None] = {}
    baseline = ""
    for arm in arms:
        wanted = [
            known[run["id"]]
            for run in arm["runs"]
            if run["id"] in known and shown.seed in {None, run["seed"]}
        ]
        pooled[arm["configuration"]] = pooled_map(wanted)
        if arm["is_baseline"]:
            baseline = arm["configuration"]
    return map_figures(pooled, baseline, shown.seed)


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None
