import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rankscope.storage.intervals import over_seeds, over_seeds_and_items, paired_over_items, wilson


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


def test_the_interval_over_seeds_and_items_worked_by_hand() -> None:
    """Four seeds, two of 1110 and two of 1100, ten times over: mean .625, S = 4, N = 40.

    Sums of squares: seeds 160 * .125^2 = 2.5, items 40 * (2 * .375^2 + .125^2 + .625^2) = 27.5,
    all 160 * .625 * .375 = 37.5, so 7.5 is left. Mean squares 2.5 / 3, 27.5 / 39, 7.5 / 117 =
    .833333, .705128, .064103; seeds + items - rest = 1.474359. Degrees of freedom 1.474359^2 /
    (.833333^2 / 3 + .705128^2 / 39 + .064103^2 / 117) = 8.8991, t(.975) = 2.26607, half =
    t * sqrt(1.474359 / 160) = .217528.
    """
    patterns = [[1, 1, 1, 0], [1, 1, 0, 0]] * 2
    found = over_seeds_and_items(np.tile(np.array(patterns, dtype=bool), 10))
    assert found.basis == "t over seeds and items"
    assert (found.low, found.high) == pytest.approx((0.625 - 0.217528, 0.625 + 0.217528), abs=1e-6)


def test_items_that_explain_nothing_leave_the_interval_over_seeds() -> None:
    """Which items are right turns from seed to seed, so that none is easier than others."""
    correct_SN = np.zeros((3, 400), dtype=bool)
    for seed, num_right in enumerate((190, 200, 210)):
        correct_SN[seed, np.roll(np.arange(400), 133 * seed)[:num_right]] = True
    assert over_seeds_and_items(correct_SN)[:3] == pytest.approx(
        over_seeds([190 / 400, 200 / 400, 210 / 400])[:3]
    )


def test_where_nothing_varies_the_items_speak() -> None:
    found = over_seeds_and_items(np.ones((3, 50), dtype=bool))
    assert found == wilson(1.0, 50)


def test_the_interval_over_seeds_and_items_holds_the_truth_as_often_as_it_says() -> None:
    """Drawn seeds shift the chance of every item, drawn items have chances of their own."""
    draw = np.random.default_rng(0)
    num_held, num_trials = 0, 600
    for _ in range(num_trials):
        shifts_S, chances_N = draw.normal(0, 0.04, 3), draw.beta(2, 2, 200)
        chances_SN = np.clip(chances_N[None, :] + shifts_S[:, None], 0, 1)
        found = over_seeds_and_items(draw.random((3, 200)) < chances_SN)
        num_held += found.low <= 0.5 <= found.high
    assert num_held / num_trials > 0.93
