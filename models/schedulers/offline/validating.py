"""Leave one family out: learn from the others, foretell its runs, compare with what happened.

Shape letters: I runs, B bootstrap draws.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from rankscope.models.inventory import AdaptableModule, FloatArray
from rankscope.models.schedulers.offline.model import FamilyValidation, Interval, Validation
from rankscope.models.schedulers.offline.past_runs import FamilyRuns
from rankscope.models.schedulers.offline.pooling import pool
from rankscope.models.schedulers.offline.ranking import spearman

NUM_DRAWS = 1000
SEED = 4_406
"""Of the bootstrap: the same runs give the same intervals."""


class _Foretold(NamedTuple):
    expected_I: FloatArray
    realised_I: FloatArray
    drawn_B: FloatArray
    """Rank correlations of resampled runs."""

    @property
    def agreement(self) -> float:
        return spearman(self.expected_I, self.realised_I)


def validate(families: Sequence[FamilyRuns], modules: Sequence[AdaptableModule]) -> Validation:
    """How well each family's runs are foretold by the other families'.

    Expected and realised log losses are centred on the runs they compare with. The bootstrap draws
    whole allocations: the seeds of one are no independent witnesses. Families stay as they are, so
    the pooled interval is about these families, not about all there might be.
    """
    if len(families) < 2:
        return Validation(families=(), pooled=None)
    generator = np.random.default_rng(SEED)
    foretold = [
        _foretold(left_out, [f for f in families if f is not left_out], modules, generator)
        for left_out in families
    ]
    drawn_B = np.mean([one.drawn_B for one in foretold], axis=0)
    pooled = _interval(float(np.mean([one.agreement for one in foretold])), drawn_B)
    return Validation(
        families=tuple(
            FamilyValidation(
                family=data.family,
                num_runs=len(data.runs),
                num_allocations=np.unique(data.allocation_I).size,
                **_interval(one.agreement, one.drawn_B).model_dump(),
            )
            for data, one in zip(families, foretold, strict=True)
        ),
        pooled=pooled,
    )


def _foretold(
    data: FamilyRuns,
    others: Sequence[FamilyRuns],
    modules: Sequence[AdaptableModule],
    generator: np.random.Generator,
) -> _Foretold:
    expected_I = data.centred(pool(others, modules).expected(data, modules))
    realised_I = data.centred(data.log_loss_I)
    rows_of = [
        np.flatnonzero(data.allocation_I == allocation)
        for allocation in np.unique(data.allocation_I)
    ]
    drawn = []
    for _ in range(NUM_DRAWS):
        chosen = generator.integers(len(rows_of), size=len(rows_of))
        rows = np.concatenate([rows_of[place] for place in chosen])
        drawn.append(spearman(expected_I[rows], realised_I[rows]))
    return _Foretold(expected_I, realised_I, np.array(drawn))


def _interval(spearman: float, drawn_B: FloatArray) -> Interval:
    low, high = np.quantile(drawn_B, [0.025, 0.975]).tolist()
    return Interval(spearman=round(spearman, 4), low=round(low, 4), high=round(high, 4))
