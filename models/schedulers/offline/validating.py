"""Leave one family out: learn from the others, foretell its runs, compare with what happened.

Shape letters: I runs, B bootstrap draws.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from rankscope.models.inventory import AdaptableModule, FloatArray
from rankscope.models.schedulers.offline.model import FamilyValidation, Interval, Validation
from rankscope.models.schedulers.offline.past_runs import FamilyRuns
from rankscope.models.schedulers.offline.pooling import neutrally_expected, pool
from rankscope.models.schedulers.offline.ranking import spearman

NUM_DRAWS = 1000
SEED = 4_406
"""Of the bootstrap: the same runs give the same intervals."""


class _Foretold(NamedTuple):
    agreement: float
    """Rank correlation of expected and realised losses."""
    gain: float
    """The same less that of neutral utilities."""
    agreement_B: FloatArray
    """Of resampled runs."""
    gain_B: FloatArray


def validate(families: Sequence[FamilyRuns], modules: Sequence[AdaptableModule]) -> Validation:
    """How well each family's runs are foretold by the other families'.

    Expected and realised log losses are centred on the runs they compare with. The bootstrap draws
    whole allocations: the seeds of one are no independent witnesses. Families stay as they are, so
    the pooled interval is about these families, not about all there might be.
    """
    if len(families) < 2:
        return Validation(families=(), pooled=None, gain=None)
    generator = np.random.default_rng(SEED)
    foretold = [
        _foretold(left_out, [f for f in families if f is not left_out], modules, generator)
        for left_out in families
    ]
    return Validation(
        families=tuple(
            FamilyValidation(
                family=data.family,
                num_runs=len(data.runs),
                num_allocations=np.unique(data.allocation_I).size,
                **_interval(one.agreement, one.agreement_B).model_dump(),
            )
            for data, one in zip(families, foretold, strict=True)
        ),
        pooled=_mean_of([(one.agreement, one.agreement_B) for one in foretold]),
        gain=_mean_of([(one.gain, one.gain_B) for one in foretold]),
    )


def _foretold(
    data: FamilyRuns,
    others: Sequence[FamilyRuns],
    modules: Sequence[AdaptableModule],
    generator: np.random.Generator,
) -> _Foretold:
    expected_I = data.centred(pool(others, modules).expected(data, modules))
    neutral_I = data.centred(neutrally_expected(data, modules))
    realised_I = data.centred(data.log_loss_I)
    rows_of = [
        np.flatnonzero(data.allocation_I == allocation)
        for allocation in np.unique(data.allocation_I)
    ]
    agreement, gain = [], []
    for _ in range(NUM_DRAWS):
        chosen = generator.integers(len(rows_of), size=len(rows_of))
        rows = np.concatenate([rows_of[place] for place in chosen])
        agreement.append(spearman(expected_I[rows], realised_I[rows]))
        gain.append(agreement[-1] - spearman(neutral_I[rows], realised_I[rows]))
    whole = spearman(expected_I, realised_I)
    return _Foretold(
        whole, whole - spearman(neutral_I, realised_I), np.array(agreement), np.array(gain)
    )


def _mean_of(estimates: Sequence[tuple[float, FloatArray]]) -> Interval:
    drawn_B = np.mean([draws for _, draws in estimates], axis=0)
    return _interval(float(np.mean([value for value, _ in estimates])), drawn_B)


def _interval(spearman: float, drawn_B: FloatArray) -> Interval:
    low, high = np.quantile(drawn_B, [0.025, 0.975]).tolist()
    return Interval(spearman=round(spearman, 4), low=round(low, 4), high=round(high, 4))
