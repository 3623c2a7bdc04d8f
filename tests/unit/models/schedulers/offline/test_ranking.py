import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import rankdata, spearmanr

from rankscope.models.schedulers.offline.ranking import average_ranks, spearman

VALUES = st.lists(st.sampled_from([0.0, 1.0, 2.5, -3.0, 7.0]), min_size=3, max_size=20)


@given(values=VALUES)
def test_ranks_are_scipys_with_ties_shared(values: list[float]) -> None:
    assert np.array_equal(average_ranks(values), rankdata(values))


@given(values=VALUES, seed=st.integers(0, 99))
def test_the_correlation_is_scipys_where_that_exists(values: list[float], seed: int) -> None:
    other = np.random.default_rng(seed).normal(size=len(values))
    if len(set(values)) > 1:
        expected = spearmanr(values, other).statistic
        assert spearman(np.array(values), other) == pytest.approx(expected)


def test_a_constant_side_agrees_with_nothing() -> None:
    assert spearman(np.ones(4), np.arange(4.0)) == 0.0
