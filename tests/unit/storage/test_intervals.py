import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rankscope.storage.intervals import over_seeds, paired_over_items, wilson


def test_the_t_interval_of_three_seeds() -> None:
    """Mean 2, sd 1, t(2, .975) = 4.302653: half = 4.302653 / sqrt(3) = 2.484138."""
    found = over_seeds([1.0, 2.0, 3.0])
    assert found.low == pytest.approx(-0.484138, abs=1e-6)
    assert found.high == pytest.approx(4.484138, abs=1e-6)


def test_the_wilson_interval_of_none_right() -> None:
    """0 of 10: high = z^2 / (n + z^2) = 3.841459 / 13.841459 = .277533."""
    assert wilson(0.0, 10).high == pytest.approx(0.277533, abs=1e-6)


@given(st.integers(1, 5000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_the_wilson_interval_holds_the_fraction_and_stays_within_0_and_1(
    counts: tuple[int, int],
) -> None:
    right, num_items = counts
    found = wilson(right / num_items, num_items)
    assert -1e-12 <= found.low <= found.mean + 1e-12
    assert found.mean - 1e-12 <= found.high <= 1 + 1e-12


def test_equal_answers_differ_by_nothing() -> None:
    correct = np.array([True, False, True])
    assert paired_over_items(correct, correct)[:3] == (0.0, 0.0, 0.0)
