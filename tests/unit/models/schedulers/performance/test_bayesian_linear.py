import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rankscope.models.inventory import FloatArray
from rankscope.models.schedulers.contract import ModuleState
from rankscope.models.schedulers.performance.bayesian_linear import BayesianLinear
from rankscope.models.schedulers.performance.contract import Observation
from rankscope.models.schedulers.performance.effects import EffectPrior, Prior

Modules = tuple[ModuleState, ...]
FLAT = Prior(layer_sd=1.0, type_sd=1.0, mlp_ratio=1.0, depth_ratio=1.0)
VAGUE = Prior(layer_sd=10.0, type_sd=10.0, mlp_ratio=1.0, depth_ratio=1.0)


def unmeasured(modules: Modules, prior: Prior) -> BayesianLinear:
    return BayesianLinear.from_prior(EffectPrior.believed(modules, prior))


def inside(modules: Modules, *, layer: int | None = None, kind: str | None = None) -> FloatArray:
    return np.array([float(m.layer == layer or m.type == kind) for m in modules])


def every_group(modules: Modules) -> list[FloatArray]:
    kinds = sorted({m.type for m in modules})
    return [inside(modules, layer=i) for i in range(6)] + [
        inside(modules, kind=kind) for kind in kinds
    ]


def test_before_measuring_mlp_types_are_ahead_per_parameter_by_their_ratio(
    embedded: Modules,
) -> None:
    """The costliest modules, MLP ones of 384 parameters, count as 1; attention has 256."""
    model = unmeasured(embedded, FLAT._replace(mlp_ratio=3.0))
    by_name = {m.name: u for m, u in zip(embedded, model.utilities, strict=True)}
    assert by_name["model.layers.2.mlp.up_proj"] == pytest.approx(3.0)
    assert by_name["model.layers.5.self_attn.q_proj"] == pytest.approx(2 / 3)


def test_the_depth_ratio_is_that_of_the_last_to_the_first_layer(embedded: Modules) -> None:
    model = unmeasured(embedded, FLAT._replace(depth_ratio=4.0))
    first_down_proj = 6
    assert model.utilities[-1] / model.utilities[first_down_proj] == pytest.approx(4.0)


def test_with_a_vague_prior_utilities_are_the_product_of_layer_and_type_shares(
    embedded: Modules,
) -> None:
    """KN's u_l * u_t (RANK_SPIKE_2.md section 6), here exactly identified by 13 exact sums."""
    layer_u, type_u = np.array([1, 2, 4, 9, 15, 14.0]), np.array([0.1, 0.1, 2, 3, 5, 6, 8])
    truth = np.outer(layer_u, type_u).ravel()
    observations = [
        Observation(w, float(np.log(w @ truth)), 1e-3, "log") for w in every_group(embedded)
    ]
    model = unmeasured(embedded, VAGUE).update(observations)
    assert model.utilities == pytest.approx(truth, rel=0.02)


def test_the_posterior_agrees_with_the_textbook_where_the_model_is_linear(
    embedded: Modules,
) -> None:
    """One module's log utility is seen as 2 with sd 3.

    Prior mean m = log(256 / 384) = -0.4055 and variance v = 10^2 + 1.5^2 + 1 + 1 + 0.25^2 =
    104.3125, so mean = m + (2 - m) v / (v + 9) = 1.8089 and variance v * 9 / (v + 9) = 8.2852; one
    log utility is linear in the parameters.
    """
    only = np.eye(42)[7]
    model = unmeasured(embedded, FLAT).update([Observation(only, 2.0, 3.0, "log")])
    assert np.log(model.utilities[7]) == pytest.approx(1.8089, abs=1e-4)
    variance = model.belief.covariance_MM[7, 7]
    assert variance == pytest.approx(8.2852, abs=1e-4)


def test_noise_shrinks_what_is_learned_towards_equal_layers(embedded: Modules) -> None:
    rises = [0.0, 0.0, 0.0, 0.0, 0.0, 2.0]

    def ratio(sd: float) -> float:
        observations = [
            Observation(inside(embedded, layer=i), rise, sd, "log") for i, rise in enumerate(rises)
        ]
        utilities = unmeasured(embedded, FLAT).update(observations).utilities
        return float(utilities[-1] / utilities[6])  # two of a type

    assert 1.0 < ratio(3.0) < ratio(1.0) < ratio(0.1) < np.exp(2.0) * 1.01


def test_a_worse_than_predicted_move_lowers_its_prediction(embedded: Modules) -> None:
    model = unmeasured(embedded, FLAT).update(
        [Observation(w, 0.0, 0.3, "log") for w in every_group(embedded)]
    )
    direction = inside(embedded, layer=5) - inside(embedded, layer=0) / 2
    expected = model.predict(direction)
    disappointed = model.update([Observation(direction, -1.0, 0.1, "linear")])
    assert disappointed.predict(direction).mean < expected.mean


def test_one_spike_of_the_loss_moves_no_parameter_by_more_than_three_sds(
    embedded: Modules,
) -> None:
    model = unmeasured(embedded, FLAT).update(
        [Observation(w, 0.0, 0.3, "log") for w in every_group(embedded)]
    )
    spike = model.update([Observation(inside(embedded, layer=5), -1e6, 0.02, "linear")])
    sds = np.sqrt(np.diag(model.covariance_DD))
    assert np.all(np.abs(spike.mean_D - model.mean_D) <= 3 * sds + 1e-9)


@given(seed=st.integers(0, 1000), num=st.integers(1, 13))
@settings(max_examples=25, deadline=None)
def test_the_covariance_stays_positive_and_only_shrinks_with_data(
    embedded: Modules, seed: int, num: int
) -> None:
    rng = np.random.default_rng(seed)
    prior = unmeasured(embedded, FLAT)
    weights = every_group(embedded)[:num]
    observations = [
        Observation(w, float(rng.normal(scale=3)), float(rng.uniform(0.01, 3)), "log")
        for w in weights
    ]
    posterior = prior.update(observations)
    assert np.linalg.eigvalsh(posterior.covariance_DD).min() > -1e-9
    assert np.linalg.eigvalsh(prior.covariance_DD - posterior.covariance_DD).min() > -1e-9


def test_a_state_of_other_modules_is_refused(embedded: Modules) -> None:
    state = unmeasured(embedded, FLAT).state()
    fewer = EffectPrior.believed(embedded[:35], FLAT)
    with pytest.raises(ValueError, match="these modules has 49 parameters, the stored one has 57"):
        BayesianLinear.from_state(fewer, state)
