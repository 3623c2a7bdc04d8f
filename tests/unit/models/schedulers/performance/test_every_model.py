"""What every performance model keeps, whatever is inside."""

import json
from functools import cache
from typing import Literal

import numpy as np
import pytest

from rankscope.models.inventory import AdaptableModule, FloatArray, Part
from rankscope.models.schedulers.performance import PERFORMANCE_MODELS, PerformanceModelKind
from rankscope.models.schedulers.performance.contract import Observation, PerformanceModel
from rankscope.models.schedulers.performance.effects import EffectPrior, Prior
from rankscope.models.schedulers.performance.layers import layer_uncertainty

HERE = Prior(layer_sd=1.0, type_sd=1.0, mlp_ratio=2.0, depth_ratio=1.0)
LANGUAGE = {"q_proj": 0.0, "v_proj": 1.0, "down_proj": 2.0}
VISION = {"fc1": 1.0, "out_proj": 0.0}


def two_parts() -> tuple[AdaptableModule, ...]:
    """Six language layers of three types, three vision layers of two."""

    def module(part: Part, layer: int, kind: str) -> AdaptableModule:
        name = f"{part}.{layer}.{kind}"
        return AdaptableModule(name=name, part=part, layer=layer, type=kind, d_in=8, d_out=8)

    language = [module("language", layer, kind) for layer in range(6) for kind in LANGUAGE]
    return (*language, *(module("vision", layer, kind) for layer in range(3) for kind in VISION))


MODULES = two_parts()


def planted(module: AdaptableModule) -> float:
    """Later layers are worth more, types differ, and vision is worth a tenth."""
    if module.part == "vision":
        return float(0.1 * np.exp(0.5 * module.layer + VISION[module.type]))
    return float(np.exp(0.5 * module.layer + LANGUAGE[module.type]))


def sums(
    modules: tuple[AdaptableModule, ...], scale: Literal["log", "linear"] = "log", sd: float = 0.1
) -> list[Observation]:
    """Every layer and every type, without noise."""
    utilities_M = np.array([planted(m) for m in modules])
    keys = dict.fromkeys((m.part, m.layer) for m in modules) | dict.fromkeys(
        (m.part, m.type) for m in modules
    )
    observations = []
    for part, place in sorted(keys, key=str):
        weights_M = np.array(
            [float(m.part == part and place in (m.layer, m.type)) for m in modules]
        )
        total = float(weights_M @ utilities_M)
        value = float(np.log(total)) if scale == "log" else total
        observations.append(Observation(weights_M, value, sd, scale))
    return observations


def rank_correlation(a_M: FloatArray, b_M: FloatArray) -> float:
    return float(np.corrcoef(np.argsort(np.argsort(a_M)), np.argsort(np.argsort(b_M)))[0, 1])


@cache
def unmeasured(
    kind: PerformanceModelKind, modules: tuple[AdaptableModule, ...] = MODULES
) -> PerformanceModel:
    return PERFORMANCE_MODELS[kind].from_prior(EffectPrior.believed(modules, HERE))


@cache
def measured(kind: PerformanceModelKind) -> PerformanceModel:
    return unmeasured(kind).update(sums(MODULES))


@pytest.mark.parametrize("kind", PERFORMANCE_MODELS)
class TestEveryModel:
    def test_before_measuring_it_believes_the_prior(self, kind: PerformanceModelKind) -> None:
        """MLP types are worth twice as much; the whole is as good as unknown."""
        model = unmeasured(kind)
        expected = [2.0 if m.type in ("down_proj", "fc1") else 1.0 for m in MODULES]
        assert model.utilities == pytest.approx(expected)
        total = model.predict(np.ones(len(MODULES)))
        assert total.sd > 5 * total.mean

    def test_it_finds_a_planted_order_from_sums_over_layers_and_types(
        self, kind: PerformanceModelKind
    ) -> None:
        model = measured(kind)
        truth_M = np.array([planted(m) for m in MODULES])
        assert rank_correlation(model.utilities, truth_M) > 0.85
        for one in sums(MODULES):
            assert np.log(one.weights_M @ model.utilities) == pytest.approx(one.value, abs=0.3)

    def test_it_learns_from_linear_sums_too(self, kind: PerformanceModelKind) -> None:
        """A move's realised effect: vision turns out to be worth more than it was taken for."""
        model = measured(kind)
        move_M = np.array([float(m.part == "vision") for m in MODULES])
        expected = model.predict(move_M)
        better = model.update([Observation(move_M, expected.mean + expected.sd, 0.01, "linear")])
        assert better.predict(move_M).mean > expected.mean

    def test_uncertainty_shrinks_with_data_and_grows_with_forgetting(
        self, kind: PerformanceModelKind
    ) -> None:
        before = unmeasured(kind)
        few = before.update(sums(MODULES)[:6])
        many = measured(kind)
        precise = before.update(sums(MODULES, sd=0.02))
        old = many
        for _ in range(20):
            old = old.forget(0.9)

        def left(model: PerformanceModel) -> float:
            return sum(layer_uncertainty(model, before).values())

        assert left(before) == pytest.approx(9.0)
        assert left(before) > left(few) > left(many) > left(precise)
        assert left(old) > left(many)

    def test_the_state_is_exact_through_json(self, kind: PerformanceModelKind) -> None:
        prior = EffectPrior.believed(MODULES, HERE)
        learned = measured(kind).forget(0.97)
        learned = learned.update(sums(MODULES, "linear", sd=0.5)[:2])
        state = json.loads(json.dumps(learned.state(), allow_nan=False))
        assert state == learned.state()
        again = type(learned).from_state(prior, state)
        for one, other in zip(again.belief, learned.belief, strict=True):
            assert np.array_equal(one, other)
        more = sums(MODULES)[3:5]
        assert np.array_equal(again.update(more).utilities, learned.update(more).utilities)

    def test_equal_observations_give_equal_models(self, kind: PerformanceModelKind) -> None:
        one, other = measured(kind), unmeasured(kind).update(sums(MODULES))
        assert np.array_equal(one.utilities, other.utilities)
        assert np.array_equal(one.belief.covariance_MM, other.belief.covariance_MM)

    def test_the_order_of_modules_does_not_matter(self, kind: PerformanceModelKind) -> None:
        order = np.random.default_rng(1).permutation(len(MODULES))
        shuffled = tuple(MODULES[row] for row in order)
        model = measured(kind)
        other = unmeasured(kind, shuffled).update(sums(shuffled))
        assert other.utilities == pytest.approx(model.utilities[order], rel=1e-6)
        assert {e.name: round(e.mean, 6) for e in other.effects()} == {
            e.name: round(e.mean, 6) for e in model.effects()
        }

    def test_nothing_observed_changes_nothing(self, kind: PerformanceModelKind) -> None:
        model = unmeasured(kind)
        assert model.update([]) is model

    def test_a_state_of_other_modules_is_refused(self, kind: PerformanceModelKind) -> None:
        state = measured(kind).state()
        fewer = EffectPrior.believed(MODULES[:-1], HERE)
        with pytest.raises(ValueError, match="resume with the adapters the run began with"):
            PERFORMANCE_MODELS[kind].from_state(fewer, state)

    def test_people_see_every_part_layer_and_type(self, kind: PerformanceModelKind) -> None:
        model = measured(kind)
        effects = {effect.name: effect for effect in model.effects()}
        assert len(effects) == 2 + (6 + 3) + (3 + 2)
        assert effects["part vision"].mean < 0 < effects["part language"].mean
        assert effects["layer language.5"].mean > effects["layer language.0"].mean
        assert effects["type language.down_proj"].mean > effects["type language.q_proj"].mean
        assert all(effect.sd > 0 for effect in effects.values())

    def test_the_groups_that_decide_a_move_are_measured_first(
        self, kind: PerformanceModelKind
    ) -> None:
        """The move trades layer 0 for layer 5 of the language model."""

        def layer(number: int) -> FloatArray:
            inside = [float(m.part == "language" and m.layer == number) for m in MODULES]
            return np.array(inside)

        model = unmeasured(kind).update(sums(MODULES)[:1])
        candidates = {f"layer {i}": Observation(layer(i), 0.0, 0.3, "log") for i in range(6)}
        told = model.most_telling(candidates, layer(5) - layer(0), 2)
        assert "layer 5" in told or "layer 0" in told
        assert len(model.most_telling(candidates, layer(5) - layer(0), 99)) == 6

    def test_a_spike_of_the_loss_counts_as_three_standard_deviations(
        self, kind: PerformanceModelKind
    ) -> None:
        model = measured(kind)
        weights_M = np.ones(len(MODULES))
        spike, limit = (Observation(weights_M, value, 0.02, "linear") for value in (-1e9, 0.0))
        expected = model.predict(weights_M)
        assert model.tempered(spike) == pytest.approx(
            expected.mean - 3 * np.hypot(expected.sd, 0.02)
        )
        assert model.tempered(limit) >= model.tempered(spike)
        assert np.all(np.isfinite(model.update([spike]).utilities))
