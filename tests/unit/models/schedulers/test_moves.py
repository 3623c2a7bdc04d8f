import numpy as np
import pytest

from rankscope.models.schedulers.contract import ModuleState
from rankscope.models.schedulers.moves import predicted, reasons_of, told
from rankscope.models.schedulers.performance.bayesian_linear import BayesianLinear
from rankscope.models.schedulers.performance.effects import EffectPrior, Prior

Modules = tuple[ModuleState, ...]
FLAT = Prior(layer_sd=1.0, type_sd=1.0, mlp_ratio=1.0, depth_ratio=1.0)


def texts(modules: Modules, changes: dict[int, int]) -> dict[str, str]:
    """Reasons of a move that sets the given rows' ranks, by module name."""
    old_M = np.array([m.rank for m in modules])
    new_M = old_M.copy()
    for row, rank in changes.items():
        new_M[row] = rank
    model = BayesianLinear.from_prior(EffectPrior.believed(modules, FLAT))
    reasons = reasons_of(modules, predicted(model, old_M, new_M), model)
    return {name: reason.text for name, reason in reasons.items()}


def test_winners_and_losers_are_told_side_by_side(embedded: Modules) -> None:
    assert texts(embedded, {0: 0, 34: 3}) == {
        "model.layers.4.mlp.down_proj": "L4 down_proj 1 -> 3, paid for by L0 q_proj 1 -> 0",
        "model.layers.0.self_attn.q_proj": "L0 q_proj 1 -> 0, pays for L4 down_proj 1 -> 3",
    }


def test_a_rise_without_a_cut_comes_from_the_unspent_budget(embedded: Modules) -> None:
    assert list(texts(embedded, {7: 2}).values()) == ["L1 q_proj 1 -> 2, from the unspent budget"]


def test_a_cut_without_a_rise_fits_the_budget(embedded: Modules) -> None:
    assert list(texts(embedded, {7: 0}).values()) == ["L1 q_proj 1 -> 0, to fit the budget"]


def test_modules_outside_the_language_model_are_named_with_their_part(embedded: Modules) -> None:
    vision = embedded[0].model_copy(update={"part": "vision", "layer": 1, "type": "fc1"})
    assert list(texts((vision,), {0: 2}).values()) == [
        "vision L1 fc1 1 -> 2, from the unspent budget"
    ]


def test_the_sentence_counts_half_of_all_parameters_that_differ(embedded: Modules) -> None:
    """L5 down_proj + 384 and L0 q_proj - 256: half of 640; utilities of 1 and 256 / 384."""
    new_M = np.ones(42, dtype=np.int64)
    new_M[[0, 41]] = 0, 2
    model = BayesianLinear.from_prior(EffectPrior.believed(embedded, FLAT))
    move = predicted(model, np.ones(42, dtype=np.int64), new_M)
    told_text = told(embedded, move, model)
    assert told_text == "320 parameters; winner L5 down_proj 1 -> 2; loser L0 q_proj 1 -> 0"
    assert move.gain.mean == pytest.approx(np.log(3 / 2) - 2 / 3 * np.log(2))
