import math

import numpy as np
import pytest

from rankscope.models.schedulers.contract import KnockOutResult, ModuleState
from rankscope.models.schedulers.knock_outs import (
    group_weights,
    groups_of,
    is_flat,
    not_usable,
    observations_of,
)

Modules = tuple[ModuleState, ...]


def result(rise: float, se: float, loss: float = 1.0) -> KnockOutResult:
    return KnockOutResult(
        loss=loss, rise={"layer language.0": rise}, rise_se={"layer language.0": se}
    )


def test_the_embedded_model_has_six_layers_and_seven_types(embedded: Modules) -> None:
    groups = groups_of(embedded)
    assert [len(g.modules) for g in groups.values() if g.kind == "layer"] == [7] * 6
    assert [len(g.modules) for g in groups.values() if g.kind == "type"] == [6] * 7


def test_modules_of_rank_zero_are_left_out_and_empty_groups_too(embedded: Modules) -> None:
    modules = tuple(m.model_copy(update={"rank": int(m.layer > 0)}) for m in embedded)
    groups = groups_of(modules)
    assert "layer language.0" not in groups
    assert len(groups["type language.q_proj"].modules) == 5


def test_the_only_type_of_a_part_is_no_group_of_its_own(embedded: Modules) -> None:
    projector = embedded[0].model_copy(
        update={"name": "proj.0", "part": "projector", "layer": 0, "type": "linear"}
    )
    groups = groups_of((*embedded, projector))
    assert groups["layer projector.0"].modules == ("proj.0",)
    assert "type projector.linear" not in groups


def test_parts_are_groups_where_there_are_several(embedded: Modules) -> None:
    """Unless no module of the part has a rank that could be knocked out."""
    vision = tuple(
        m.model_copy(update={"name": f"vision.{m.name}", "part": "vision"}) for m in embedded[:14]
    )
    groups = groups_of((*embedded, *vision))
    assert list(groups)[:2] == ["part language", "part vision"]
    assert groups["part vision"] == ("part", tuple(m.name for m in vision))
    assert not any(group.kind == "part" for group in groups_of(embedded).values())
    without = tuple(m.model_copy(update={"rank": 0}) for m in vision)
    assert "part vision" not in groups_of((*embedded, *without))


def test_a_groups_weight_is_visibility_times_log_of_one_plus_rank(embedded: Modules) -> None:
    modules = tuple(m.model_copy(update={"rank": 3}) for m in embedded)
    visibility = {m.name: 0.5 for m in modules}
    weights = group_weights(groups_of(modules)["layer language.2"], modules, visibility)
    assert weights[14:21] == pytest.approx(np.full(7, 0.5 * math.log(4)))
    assert weights.sum() == pytest.approx(weights[14:21].sum())


def test_a_rise_is_floored_in_itself_and_by_share(embedded: Modules) -> None:
    """Layers rose by 0.5 and -0.1 (floored to .001): total .501, so logs of .51002 and .01102."""
    groups = groups_of(embedded)
    names = ["layer language.0", "layer language.1"]
    measured = KnockOutResult(
        loss=1.0,
        rise={names[0]: 0.5, names[1]: -0.1, "unknown": 9.0},
        rise_se={names[0]: 0.051002, names[1]: 0.0, "unknown": 0.0},
    )
    weights = {name: np.ones(42) for name in groups}
    first, second = observations_of(measured, groups, measured.rise, weights, 0.3)
    assert first.value == pytest.approx(math.log(0.51002))
    assert first.sd == pytest.approx(math.hypot(0.1, 0.3))
    assert second.value == pytest.approx(math.log(0.01102))
    assert second.sd == pytest.approx(0.3)


def test_a_parts_rise_is_floored_by_its_share_of_all_parts(embedded: Modules) -> None:
    """Parts rose by 0.4 and 0.1: total .5, so logs of .41 and .11; the layer's .3 is apart."""
    vision = embedded[0].model_copy(update={"name": "v", "part": "vision"})
    groups = groups_of((*embedded, vision))
    rise = {"part language": 0.4, "part vision": 0.1, "layer language.0": 0.3}
    measured = KnockOutResult(loss=1.0, rise=rise, rise_se=dict.fromkeys(rise, 0.0))
    weights = {name: np.ones(43) for name in groups}
    first, second, layer = observations_of(measured, groups, rise, weights, 1.3)
    assert np.exp([first.value, second.value]) == pytest.approx([0.41, 0.11])
    assert np.exp(layer.value) == pytest.approx(0.306)


@pytest.mark.parametrize(
    "broken", [result(math.nan, 0.1), result(0.1, math.inf), result(0.1, 0.1, loss=math.nan)]
)
def test_results_that_are_not_finite_are_not_usable(broken: KnockOutResult) -> None:
    assert not_usable(broken) is not None
    assert not_usable(result(0.1, 0.1)) is None


def test_a_missing_standard_error_is_not_usable() -> None:
    no_se = KnockOutResult(loss=1.0, rise={"layer language.0": 0.1}, rise_se={})
    assert not_usable(no_se) is not None


def test_knock_outs_are_flat_unless_a_rise_is_clear_of_noise_and_floor() -> None:
    assert is_flat(result(0.1, 0.06))
    assert is_flat(result(0.0009, 0.0))
    assert not is_flat(result(0.1, 0.04))
