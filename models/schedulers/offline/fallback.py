"""Which static rule did best in past runs: what is left when nothing useful was learned."""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from rankscope.models.schedulers.offline.model import StaticRule
from rankscope.models.schedulers.offline.past_runs import FamilyRuns
from rankscope.models.schedulers.offline.ranking import average_ranks


def best_static_rule(families: Sequence[FamilyRuns]) -> StaticRule:
    """The rule of lowest mean rank by loss; uniform where no two rules were ever compared.

    Rules are ranked within each group by their mean log loss, ranks are scaled to 0 (best) to 1,
    and averaged over groups, then families. Only rules that stand in every family are taken, unless
    none does. Ties go to uniform, then to the first by name.
    """
    by_family = [_places(data) for data in families]
    by_family = [places for places in by_family if places]
    if not by_family:
        return "uniform"
    everywhere = set.intersection(*(set(places) for places in by_family))
    named = everywhere or set.union(*(set(places) for places in by_family))

    def place(rule: StaticRule) -> float:
        return float(np.mean([places[rule] for places in by_family if rule in places]))

    return min(named, key=lambda rule: (place(rule), rule != "uniform", rule))


def _places(data: FamilyRuns) -> dict[StaticRule, float]:
    """Per rule its mean scaled rank over the family's groups."""
    places: defaultdict[StaticRule, list[float]] = defaultdict(list)
    for group in range(int(data.group_I.max()) + 1):
        losses: defaultdict[StaticRule, list[float]] = defaultdict(list)
        for row in np.flatnonzero(data.group_I == group):
            rule = data.runs[row].rule
            if rule is not None:
                losses[rule].append(float(data.log_loss_I[row]))
        if len(losses) < 2:
            continue
        ranks = (average_ranks([np.mean(ones) for ones in losses.values()]) - 1) / (len(losses) - 1)
        for rule, rank in zip(losses, ranks.tolist(), strict=True):
            places[rule].append(rank)
    return {rule: float(np.mean(ones)) for rule, ones in places.items()}
