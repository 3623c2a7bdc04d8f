"""Intervals of figures that are no means, against items drawn one by one."""

import numpy as np
import pytest

from rankscope.models.benchmarks import mme, pope
from rankscope.models.benchmarks.bootstrap import drawn_anew

NUM_DRAWS = 3000
Bounds = dict[str, tuple[float, float]]


def test_counts_are_of_as_many_items_and_on_average_as_they_were() -> None:
    counts_CK = [[3, 0, 7], [0, 40, 60]]
    draws_RCK = drawn_anew(counts_CK)
    assert (draws_RCK.sum(axis=2) == [10, 100]).all()
    assert draws_RCK.mean(axis=0) == pytest.approx(np.array(counts_CK), abs=0.2)
    assert np.array_equal(draws_RCK, drawn_anew(counts_CK))


def test_rates_vary_as_those_of_questions_drawn_one_by_one() -> None:
    rng = np.random.default_rng(5)
    pairs_C = []
    for num_items in (90, 60):
        labels = rng.choice(pope.LABELS, num_items)
        said = np.where(rng.random(num_items) < 0.5, labels, rng.choice(pope.LABELS, num_items))
        pairs_C.append([(str(label), str(word)) for label, word in zip(labels, said, strict=True)])
    found = pope.intervals(pairs_C)
    figures: dict[str, list[float]] = {name: [] for name in found}
    for _ in range(NUM_DRAWS):
        anew = [[pairs[i] for i in rng.integers(0, len(pairs), len(pairs))] for pairs in pairs_C]
        whole = pope.rates([pair for pairs in anew for pair in pairs])
        mean_f1 = sum(pope.rates(pairs)["f1"] for pairs in anew) / len(anew)
        for name, values in figures.items():
            values.append(mean_f1 if name == "mean_f1" else whole[name])
    assert_like(found, figures, tolerance=0.015)


def test_points_vary_as_those_of_pictures_drawn_one_by_one() -> None:
    rng = np.random.default_rng(6)
    right_of = {
        task: rng.integers(0, 2, size=(num_pictures, 2)).astype(float)
        for task, num_pictures in (("existence", 30), ("OCR", 20), ("code_reasoning", 25))
    }
    found = mme.intervals(
        {
            task: [(f"{task}/{n}", score) for n, pair in enumerate(right_P2) for score in pair]
            for task, right_P2 in right_of.items()
        }
    )
    figures: dict[str, list[float]] = {"perception": [], "cognition": [], "total": []}
    for _ in range(NUM_DRAWS):
        points = {}
        for task, right_P2 in right_of.items():
            anew_P2 = right_P2[rng.integers(0, len(right_P2), len(right_P2))]
            points[task] = 100 * anew_P2.mean() + 100 * anew_P2.all(axis=1).mean()
        figures["cognition"].append(points["code_reasoning"])
        figures["perception"].append(points["existence"] + points["OCR"])
        figures["total"].append(sum(points.values()))
    assert_like(found, figures, tolerance=5)


def assert_like(found: Bounds, figures: dict[str, list[float]], *, tolerance: float) -> None:
    assert found.keys() == figures.keys()
    for name, values in figures.items():
        assert found[name] == pytest.approx(np.percentile(values, (2.5, 97.5)), abs=tolerance), name
        assert found[name][0] < np.mean(values) < found[name][1]
