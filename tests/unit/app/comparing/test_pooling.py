import pytest

from rankscope.app.comparing.pooling import minus, pooled_curves, pooled_map
from rankscope.models.inventory import AdaptableModule
from rankscope.storage.compared_runs import CurvePoint, RankMap

MODULES = tuple(
    AdaptableModule(name=f"m{i}", part="language", layer=i, type="q_proj", d_in=8, d_out=8)
    for i in range(2)
)


def test_a_curve_holds_mean_and_range_of_its_runs() -> None:
    """Step 3: 1 and 2. The second run has not come to the window that ends at its step 5."""
    points = [CurvePoint("a", 3, 1.0), CurvePoint("b", 3, 2.0), CurvePoint("a", 6, 0.5)]
    pooled = pooled_curves(points, {"a": "uniform", "b": "uniform"}, {"a": 5, "b": 5})
    assert pooled == {"uniform": [(3, 1.5, 1.0, 2.0, 2), (5, 0.5, 0.5, 0.5, 1)]}


def test_a_run_without_points_has_an_empty_curve() -> None:
    assert pooled_curves([], {"a": "uniform"}, {"a": 5}) == {"uniform": []}


def test_maps_are_averaged_module_by_module() -> None:
    pooled = pooled_map([RankMap(MODULES, [0, 4]), RankMap(MODULES, [1, 2])])
    assert pooled is not None
    assert pooled.ranks_M == pytest.approx([0.5, 3.0])
    assert pooled.num_runs == 2


def test_maps_of_other_modules_are_neither_averaged_nor_subtracted() -> None:
    ours, theirs = RankMap(MODULES, [1, 1]), RankMap(MODULES[:1], [1])
    assert pooled_map([ours, theirs]) is None
    assert pooled_map([]) is None
    one, other = pooled_map([ours]), pooled_map([theirs])
    assert one is not None
    assert other is not None
    assert minus(one, other) is None
    assert minus(one, one) == [0.0, 0.0]
