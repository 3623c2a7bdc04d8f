"""Evaluations as command line, API and page show them: JSON, times in seconds since the epoch."""

from typing import Any

from rankscope.app.moments import in_epoch_seconds
from rankscope.storage.benchmark_figures import Difference
from rankscope.storage.evaluations import EvaluationRecord


def evaluation_row(evaluation: EvaluationRecord) -> dict[str, Any]:
    """One evaluation with its score, if it has one, and the time left, if it is known."""
    return in_epoch_seconds(evaluation.model_dump()) | {"eta_s": evaluation.eta_s}


def difference_row(found: Difference) -> dict[str, Any]:
    """How two evaluations differ."""
    return found._asdict() | {"difference": found.difference._asdict()}
