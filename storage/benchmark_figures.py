"""How sure the figures of a benchmark are, and how two evaluations of the same items differ."""

from typing import Any, NamedTuple

import numpy as np
from sqlalchemy import Engine

from rankscope.models.benchmarks.contract import BenchmarkScore
from rankscope.storage.benchmark_answers import StoredAnswer, read_answers
from rankscope.storage.errors import RunRefusedError
from rankscope.storage.evaluations import EvaluationRecord
from rankscope.storage.intervals import Interval, paired_over_items, wilson

COUNTED_IN_GROUPS = "mmbench"
"""Whose questions are right only if all their rotations are; elsewhere every item counts."""


class Difference(NamedTuple):
    """Ours less theirs, over the same items or groups of items.

    Args:
        ours: Mean score.
        theirs: Mean score.
        difference: Its 95 % interval is paired.
        num_only_ours: Which ours got more of.
        num_only_theirs: Which theirs got more of.
    """

    num_pairs: int
    what: str
    ours: float
    theirs: float
    difference: Interval
    num_only_ours: int
    num_only_theirs: int


def stored_score(score: BenchmarkScore) -> dict[str, Any]:
    """What a row keeps of a score: all but the scores of items, and the intervals beside it."""
    whole = score.model_dump(mode="json", exclude={"item_scores", "group_scores", "intervals"})
    return whole | {
        "num_groups": len(score.group_scores),
        "intervals": intervals(score),
        "intervals_by_category": _by_category(score),
    }


def intervals(score: BenchmarkScore) -> dict[str, tuple[float, float]]:
    """95 % intervals, over items, of all metrics.

    Wilson's of the means of scores from 0 to 1, which are a little wide where answers may be right
    by degrees, as in TextVQA; the bootstrap's of F1, rates and sums of points.
    """
    return score.intervals | {
        name: _bounds(score.metrics[name], num_items)
        for name, num_items in _counts(score).items()
        if num_items
    }


def compare(engine: Engine, ours: EvaluationRecord, theirs: EvaluationRecord) -> Difference:
    """Which of two did better on the same items, and how sure that is.

    Raises:
        RunRefusedError: If one has no score, or they did not answer the same.
    """
    for one in (ours, theirs):
        if one.score is None:
            raise RunRefusedError(
                f"only evaluations that are done can be compared, got {one.id} which is "
                f"{one.status}; wait for it or resume it"
            )
    assert ours.score is not None
    assert theirs.score is not None
    for name in ("kind", "settings", "items_digest"):
        if ours.score[name] != theirs.score[name]:
            raise RunRefusedError(
                f"two evaluations must have answered the same items to be compared, {ours.id} and "
                f"{theirs.id} differ in {name}; evaluate both on the same files and settings"
            )
    in_groups = ours.benchmark == COUNTED_IN_GROUPS
    ours_N, theirs_N = (
        np.array(_scores(read_answers(engine, one.id), in_groups=in_groups))
        for one in (ours, theirs)
    )
    return Difference(
        num_pairs=len(ours_N),
        what="questions, all rotations right" if in_groups else "items",
        ours=float(ours_N.mean()),
        theirs=float(theirs_N.mean()),
        difference=paired_over_items(ours_N, theirs_N),
        num_only_ours=int((ours_N > theirs_N).sum()),
        num_only_theirs=int((ours_N < theirs_N).sum()),
    )


def _scores(answers: list[StoredAnswer], *, in_groups: bool) -> list[float]:
    least: dict[str, float] = {}
    for answer in answers:
        name = answer.group if in_groups else answer.key
        score = answer.score or 0.0
        least[name] = min(score, least.get(name, score))
    return list(least.values())


def _counts(score: BenchmarkScore) -> dict[str, int]:
    """Over how many items, or groups, each mean of right and wrong is."""
    num_groups = len(score.group_scores)

    def of(category: str) -> int:
        return int(score.by_category.get(category, {}).get("items", 0))

    match score.kind:
        case "gqa":
            num_open = of("query")
            return {
                "accuracy": score.num_items,
                "open": num_open,
                "binary": score.num_items - num_open,
            }
        case "science_qa":
            return {
                "image_accuracy": of("with picture"),
                "text_accuracy": of("text alone"),
                "accuracy": score.num_items,
            }
        case "pope" | "text_vqa":
            return {"accuracy": score.num_items}
        case "mmbench":
            return {"circular_accuracy": num_groups, "vanilla_accuracy": num_groups}
        case _:
            return {}


def _by_category(score: BenchmarkScore) -> dict[str, tuple[float, float]]:
    """Of each category's accuracy."""
    return {
        category: _bounds(found["accuracy"], int(found["items"]))
        for category, found in score.by_category.items()
        if "accuracy" in found and found.get("items")
    }


def _bounds(fraction: float, num_items: int) -> tuple[float, float]:
    interval = wilson(fraction, num_items)
    return interval.low, interval.high
