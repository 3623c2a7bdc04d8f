"""Intervals against simulated truth, and what can be worked by hand."""

import math

import numpy as np
import pytest
from scipy.special import stdtr

from benchmarks.science.statistics import Bootstrap, TaskScores, holm


def scores(correct_ASI: object, items_per_picture: int = 1) -> TaskScores:
    array = np.asarray(correct_ASI, dtype=np.float64)
    return TaskScores(array, np.arange(array.shape[-1]) // items_per_picture)


def simulated(
    rng: np.random.Generator, num_tasks: int, num_seeds: int, num_items: int, seed_sd: float
) -> dict[str, TaskScores]:
    """Two arms with true accuracies .62 and .60; items are of unequal difficulty."""
    found = {}
    for task in range(num_tasks):
        difficulty_I = rng.uniform(-0.3, 0.3, num_items)
        luck_AS1 = rng.normal(0, seed_sd, (2, num_seeds, 1))
        p_ASI = np.array([0.62, 0.60])[:, None, None] + luck_AS1 + difficulty_I
        drawn_ASI = rng.random((2, num_seeds, num_items)) < p_ASI
        found[str(task)] = scores(drawn_ASI, items_per_picture=2)
    return found


@pytest.mark.parametrize(("num_tasks", "num_seeds"), [(4, 5), (1, 5), (3, 2)])
def test_intervals_hold_the_truth_as_often_as_they_say(num_tasks: int, num_seeds: int) -> None:
    """95 % of 150 is 142; fewer than 135 (90 %) has a chance of 1 % when the level is right."""
    rng = np.random.default_rng(1)
    held_difference = held_ratio = 0
    for seed in range(150):
        drawn = simulated(rng, num_tasks, num_seeds, num_items=80, seed_sd=0.08)
        bootstrap = Bootstrap(["ours", "theirs"], drawn, num_draws=200, seed=seed)
        difference = bootstrap.difference("ours", "theirs")
        gain = bootstrap.relative_gain("ours", "theirs")
        held_difference += difference.low <= 0.02 <= difference.high
        held_ratio += gain.low <= 0.62 / 0.60 - 1 <= gain.high
    assert held_difference >= 135
    assert held_ratio >= 135


def test_a_difference_is_called_significant_as_rarely_as_it_says() -> None:
    """Both have one truth, .60: 5 % of 150 is 7; more than 15 has a chance of 1 %."""
    rng = np.random.default_rng(2)
    significant = 0
    for seed in range(150):
        one, other = (simulated(rng, 1, 5, 80, 0.08)["0"] for _ in range(2))
        equal_ASI = np.stack([one.correct_ASI[1], other.correct_ASI[1]])
        bootstrap = Bootstrap(["x", "y"], {"a": scores(equal_ASI)}, num_draws=200, seed=seed)
        significant += bootstrap.difference("x", "y").p < 0.05
    assert significant <= 15


def test_estimates_are_plain_means_over_tasks() -> None:
    """Task a: 3 / 4 against 2 / 4, task b: 1 against 1 / 2; means .875 and .5, ratio 1.75."""
    a = scores([[[1, 1, 1, 0]], [[1, 1, 0, 0]]])
    b = scores([[[1, 1]], [[1, 0]]])
    bootstrap = Bootstrap(["ours", "theirs"], {"a": a, "b": b})
    assert bootstrap.accuracy("ours").value == 0.875
    assert bootstrap.difference("ours", "theirs").value == 0.375
    assert bootstrap.relative_gain("ours", "theirs").value == pytest.approx(0.75)


def test_seeds_alone_give_students_t() -> None:
    """Every item alike, so that seeds alone vary: accuracies 1, 1, 0 against 0.

    Mean 2 / 3, variance 1 / 3, standard error sqrt(1 / 9) = 1 / 3, t(2, .975) = 4.302653: half
    1.43422, cut at 1 above and -.76755 below; p of t = 2 with 2 degrees of freedom: .18350.
    """
    correct = np.stack([np.outer([1, 1, 0], np.ones(50)), np.zeros((3, 50))])
    found = Bootstrap(["x", "y"], {"a": scores(correct)}, num_draws=20_000).difference("x", "y")
    assert found.value == pytest.approx(2 / 3)
    assert found.low == pytest.approx(2 / 3 - 1.43422, abs=0.04)
    assert found.high == 1.0
    assert found.p == pytest.approx(0.18350, abs=0.005)
    assert 2 * stdtr(2, -2.0) == pytest.approx(0.18350, abs=1e-5)


def test_items_of_one_picture_are_one_draw() -> None:
    """One seed; four items of one picture weigh as one: an error of twice that of 400 alone."""
    right = np.repeat(np.arange(100) % 2, 4)
    alone, together = (
        Bootstrap(["x"], {"a": scores([[right]], n)}, num_draws=4_000).accuracy("x") for n in (1, 4)
    )
    assert (together.high - together.low) / (alone.high - alone.low) == pytest.approx(2, rel=0.1)
    assert alone.high - alone.low == pytest.approx(2 * 1.96 * 0.5 / 20, rel=0.1)


def test_drawn_tasks_widen_an_interval_where_tasks_differ() -> None:
    """Differences of 0 and 1: whatever seeds and items say, other tasks could say otherwise."""
    ones, zeros = np.ones((3, 40)), np.zeros((3, 40))
    tasks = {"a": scores([ones, ones]), "b": scores([ones, zeros])}
    fixed = Bootstrap(["x", "y"], tasks).difference("x", "y")
    drawn = Bootstrap(["x", "y"], tasks, are_tasks_drawn=True).difference("x", "y")
    assert (fixed.low, fixed.high, fixed.p) == (0.5, 0.5, 0.0)
    assert (drawn.low, drawn.high) == (-1.0, 1.0)


def test_equal_arms_do_not_differ() -> None:
    correct = [[[1, 0, 1]], [[1, 0, 1]]]
    found = Bootstrap(["x", "y"], {"a": scores(correct)}).difference("x", "y")
    assert found == (0.0, 0.0, 0.0, 1.0)


def test_a_rival_that_gets_nothing_right_has_no_ratio() -> None:
    found = Bootstrap(["x", "y"], {"a": scores([[[1, 0]], [[0, 0]]])}).relative_gain("x", "y")
    assert math.isnan(found.value)


def test_equal_input_gives_equal_intervals() -> None:
    drawn = simulated(np.random.default_rng(0), 2, 3, 50, 0.1)
    once, again = (Bootstrap(["x", "y"], drawn).difference("x", "y") for _ in range(2))
    assert once == again


def test_holm_by_hand() -> None:
    """.01 * 3 = .03; .02 * 2 = .04; .03 * 1 = .03, but never below the one before: .04."""
    assert holm({"b": 0.02, "a": 0.01, "c": 0.03}) == pytest.approx(
        {"a": 0.03, "b": 0.04, "c": 0.04}
    )
    assert holm({"a": 0.9, "b": 0.8}) == {"a": 1.0, "b": 1.0}
    assert holm({}) == {}
