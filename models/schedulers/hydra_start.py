"""What hydra believes and which ranks it sets before a run has measured anything.

Shape letters: M modules.
"""

from typing import NamedTuple

from rankscope.models.inventory import IntArray
from rankscope.models.schedulers.allocation import uniform_ranks
from rankscope.models.schedulers.contract import Apply, View
from rankscope.models.schedulers.offline.model import OfflineModel, StaticRule
from rankscope.models.schedulers.performance.effects import EffectPrior, Prior
from rankscope.models.schedulers.static import Static


class Start(NamedTuple):
    """Ranks to begin with, and why."""

    ranks: dict[str, int]
    reason: str


def is_taught(view: View) -> bool:
    """Whether past runs taught something of measured use about this run's modules."""
    return view.offline is not None and view.offline.is_useful


def prior_of(view: View, by_hand: Prior) -> EffectPrior:
    """What past runs taught, where that is of use; else the belief by hand."""
    if view.offline is not None and view.offline.is_useful:
        return view.offline.prior_over(view.modules)
    return EffectPrior.believed(view.modules, by_hand)


def untaught_start(view: View) -> Start:
    """The static rule that was best in past runs, if there are any; else uniform ranks."""
    if view.offline is None:
        ranks = uniform_ranks(view.modules, view.budget)
        return Start(ranks, "uniform until something is measured")
    rule = _applicable(view, view.offline.fallback)
    return Start(_static_ranks(view, rule), f"{_why_not(view.offline)}: {rule} ranks instead")


def taught_start(view: View, best_M: IntArray) -> Start:
    """The optimum under what past runs taught."""
    model = view.offline
    assert model is not None
    return Start(
        {m.name: int(rank) for m, rank in zip(view.modules, best_M, strict=True)},
        f"best by {model.name}, learned from {model.provenance.num_runs} past runs "
        f"(rank correlation {model.usefulness:.2f} on families left out)",
    )


def _why_not(model: OfflineModel) -> str:
    gain = model.validation.gain
    if gain is None:
        return f"{model.name} is of unknown use, learned from one family of tasks"
    return (
        f"{model.name} is not useful, on families left out its rank correlation exceeds that of "
        f"even ranks by {gain.spearman:.2f} [{gain.low:.2f}, {gain.high:.2f}]"
    )


def _applicable(view: View, rule: StaticRule) -> StaticRule:
    """The rule, or uniform where it selects none of the run's modules."""
    if rule == "uniform" or not Static(where=rule).selected(view.modules):
        return "uniform"
    return rule


def _static_ranks(view: View, rule: StaticRule) -> dict[str, int]:
    if rule == "uniform":
        return uniform_ranks(view.modules, view.budget)
    decision, _ = Static(where=rule).plan(view, {})
    assert isinstance(decision, Apply)
    return decision.ranks
