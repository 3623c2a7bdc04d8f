"""A run's result as people read it at a terminal."""

from rankscope.app.terminal import count, out, percent, print_table
from rankscope.storage.history import RunSummary


def print_summary(summary: RunSummary) -> None:
    """What a run cost and what it reached."""
    print_table(
        f"Run {summary.run}: {summary.status}, scheduler {summary.scheduler}",
        ["", ""],
        [
            ["accuracy on test", f"{percent(summary.accuracy)} of {count(summary.items)} items"],
            ["before training", percent(summary.accuracy_before)],
            ["pictures shuffled", percent(summary.accuracy_shuffled_images)],
            ["no picture, usual answer", percent(summary.accuracy_question_only)],
            ["budget", f"{count(summary.budget_params)} adapter parameters"],
            ["live at most", count(summary.max_live_params)],
            ["at the end", count(summary.final_params)],
            ["decisions", count(summary.decisions)],
            [
                "ranks moved",
                f"{count(summary.rank_events)} x, {count(summary.params_moved)} parameters in all",
            ],
            [
                "time",
                f"{summary.wall_s or 0:,.1f} s, {summary.measurement_s:,.1f} s of it measuring",
            ],
        ],
    )
    if summary.scheduler_failure is not None:
        out.print(
            f"scheduler failed {summary.scheduler_failure}; ranks stayed from then on", markup=False
        )
    out.print()
