"""What ``protocol.yaml``'s decision rule says of a result, clause by clause."""

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from benchmarks.science.results import AIMED_OVERHEAD, BASELINE, CHALLENGER
from benchmarks.science.tables import gain_text, markdown, points_text

Figures = Mapping[str, Any]

LEVEL = 0.05
"""Of the p-values after Holm."""
REFERENCE = "full fine-tuning"
"""The arm that trains every weight; to be above it somewhere was aimed at, the rule is silent."""

Part = Literal["primary endpoint", "rival", "not worse", "beside the rule"]


class Clause(NamedTuple):
    """What is asked, what was found and whether that holds."""

    part: Part
    asks: str
    found: str
    holds: bool


def clauses(answer: Figures) -> list[Clause]:
    """Every clause, from a comparison that holds the challenger and the baseline."""
    found = [_primary(answer), *_rivals(answer), *_nowhere_worse(answer)]
    if REFERENCE in answer["arms"]:
        found.append(_above_reference(answer))
    return [*found, _overhead(answer)]


def is_decidable(answer: Figures) -> bool:
    """Whether a comparison holds what the rule is about."""
    return "relative_gain_vs_uniform" in answer["arms"].get(CHALLENGER, {})


def verdict_text(answer: Figures) -> str:
    """One sentence and the table of clauses."""
    found = clauses(answer)
    rows = [[c.part, c.asks, c.found, "yes" if c.holds else "no"] for c in found]
    return f"{_sentence(found)}\n\n{markdown(['', 'asked', 'found', 'holds'], rows)}"


def _sentence(found: list[Clause]) -> str:
    primary = next(c.holds for c in found if c.part == "primary endpoint")
    rivals = [c.holds for c in found if c.part == "rival"]
    tasks = [c.holds for c in found if c.part == "not worse"]
    return (
        f"**{CHALLENGER} over {BASELINE}: {'won' if primary else 'not won'}.** "
        f"Rivals beaten after correction: {sum(rivals)} of {len(rivals)}. Tasks on which it is not "
        f"below {BASELINE} by more than the half width of the interval: {sum(tasks)} of "
        f"{len(tasks)}."
    )


def _primary(answer: Figures) -> Clause:
    figures = answer["arms"][CHALLENGER]
    low, high = (100 * bound for bound in figures["ci95_tasks_drawn"])
    return Clause(
        "primary endpoint",
        f"gain over {BASELINE}: interval above zero",
        f"{gain_text(figures)}; with tasks drawn too [{low:+.1f}, {high:+.1f}]",
        figures["ci95"][0] > 0,
    )


def _rivals(answer: Figures) -> list[Clause]:
    hydra = answer["arms"][CHALLENGER]
    found = []
    for arm, figures in answer["arms"].items():
        key = f"vs_{figures['key']}"
        if f"{key}_p_holm" not in hydra:
            continue
        p = hydra[f"{key}_p_holm"]
        found.append(
            Clause(
                "rival",
                f"above {arm}: p < {LEVEL:g} after Holm",
                f"{points_text(hydra[key], hydra[f'{key}_ci95'])} points, p = {p:.2g}",
                p < LEVEL and hydra[key] > 0,
            )
        )
    return found


def _nowhere_worse(answer: Figures) -> list[Clause]:
    found = []
    for task, arms in answer["tasks"].items():
        difference = arms[CHALLENGER][f"vs_{BASELINE}"]
        low, high = arms[CHALLENGER][f"vs_{BASELINE}_ci95"]
        found.append(
            Clause(
                "not worse",
                f"on {task} not below {BASELINE} by more than the half width",
                f"{points_text(difference, (low, high))} points",
                difference >= -(high - low) / 2,
            )
        )
    return found


def _above_reference(answer: Figures) -> Clause:
    ahead = {t: -arms[REFERENCE][f"vs_{CHALLENGER}"] for t, arms in answer["tasks"].items()}
    best = max(ahead, key=lambda task: ahead[task])
    low, high = answer["tasks"][best][REFERENCE][f"vs_{CHALLENGER}_ci95"]
    return Clause(
        "beside the rule",
        f"above {REFERENCE} on at least one task",
        f"best on {best}: {points_text(ahead[best], (-high, -low))} points",
        ahead[best] > 0,
    )


def _overhead(answer: Figures) -> Clause:
    mine = [arms[CHALLENGER] for arms in answer["tasks"].values()]
    train_s, steering_s = (
        sum(figures[key] for figures in mine) for key in ("train_s", "steering_s")
    )
    share = steering_s / train_s if train_s else 0.0
    found = f"{100 * share:.1f} %"
    for name, cost in (answer["offline"] or {}).items():
        after = cost["paid_back_after_runs"]
        when = "never within that share" if after is None else f"within that share after {after:,}"
        found += (
            f"; the {cost['num_runs']:,} runs that {name} was learned from "
            f"({cost['train_s']:,.0f} s) are paid back {when}{'' if after is None else ' runs'}"
        )
    return Clause(
        "beside the rule",
        f"decisions take at most {100 * AIMED_OVERHEAD:g} % of training time",
        found,
        share <= AIMED_OVERHEAD,
    )
