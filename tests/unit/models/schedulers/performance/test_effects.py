"""What is believed of modules before anything is measured."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rankscope.models.schedulers.allocation import allocate, costs_of, log_gains
from rankscope.models.schedulers.contract import ModuleState
from rankscope.models.schedulers.performance.effects import (
    PART_SD,
    EffectPrior,
    Prior,
    effects_of,
)

Modules = tuple[ModuleState, ...]
ALIKE = Prior(layer_sd=0.4, type_sd=0.6, mlp_ratio=1.0, depth_ratio=1.0)


@given(rank=st.integers(0, 16))
@settings(deadline=None)
def test_of_all_else_equal_the_best_ranks_are_uniform(embedded: Modules, rank: int) -> None:
    costs_M = costs_of(embedded)
    worth_M = np.exp(EffectPrior.believed(embedded, ALIKE).log_utilities)
    assert worth_M == pytest.approx(costs_M / costs_M.max())
    best_M = allocate(
        log_gains(worth_M, np.full(42, 16)),
        costs_M,
        rank * int(costs_M.sum()),
        min_ranks_M=np.zeros(42, np.int64),
        max_ranks_M=np.full(42, 16),
    )
    assert best_M.tolist() == [rank] * 42


def test_modules_that_share_layer_and_type_count_as_one_of_them_would(embedded: Modules) -> None:
    """As experts do: a cell has the mean of its modules' log costs, not their sum."""
    twin = embedded[0].model_copy(update={"name": "experts.1.q_proj"})
    worth_M = np.exp(EffectPrior.believed((*embedded, twin), ALIKE).log_utilities)
    assert worth_M[[0, 7, -1]] == pytest.approx([2 / 3] * 3)


def test_ratios_are_of_worth_per_parameter(embedded: Modules) -> None:
    """From the first to the last layer worth grows fourfold, along a straight line in its log."""
    ahead = ALIKE._replace(mlp_ratio=3.0, depth_ratio=4.0)
    worth_M = np.exp(EffectPrior.believed(embedded, ahead).log_utilities) / costs_of(embedded)
    q_proj, up_proj = worth_M[0::7], worth_M[5::7]
    assert up_proj / q_proj == pytest.approx([3.0] * 6)
    assert q_proj[1:] / q_proj[:-1] == pytest.approx([4 ** (1 / 5)] * 5)


@pytest.mark.parametrize("part_sd", [PART_SD, 1.2])
def test_parts_differ_by_their_own_sd(embedded: Modules, part_sd: float) -> None:
    vision = embedded[0].model_copy(update={"name": "v", "part": "vision"})
    modules = (*embedded, vision)
    prior = EffectPrior.believed(modules, ALIKE._replace(part_sd=part_sd))
    variances = np.diag(prior.covariance_DD)
    kinds = [effect.kind for effect in effects_of(modules)]
    for kind, sd in {"part": part_sd, "layer": 0.4, "type": 0.6}.items():
        found = [v for v, one in zip(variances, kinds, strict=True) if one == kind]
        assert found == pytest.approx([sd**2] * len(found))
