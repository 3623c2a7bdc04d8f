"""What is learned from past runs, against what was planted in them."""

import json
from functools import cache

import numpy as np
import pytest
from pydantic import ValidationError
from scipy.stats import spearmanr

from rankscope.models.schedulers.offline.learning import Learned, TooFewRunsError
from rankscope.models.schedulers.offline.model import OfflineModel
from rankscope.models.schedulers.offline.past_runs import comparable
from rankscope.models.schedulers.offline.pooling import pool
from tests.unit.models.schedulers.offline.planted import (
    MODULES,
    architecture,
    common_log_utilities,
    learned,
    past_runs,
)


@cache
def from_planted_runs() -> Learned:
    return learned(past_runs())


def model() -> OfflineModel:
    return from_planted_runs().model


def test_it_finds_what_the_families_have_in_common() -> None:
    found_M = model().prior_over(MODULES).log_utilities
    assert spearmanr(found_M, common_log_utilities()).statistic > 0.8


def test_the_truth_is_as_far_off_as_it_says() -> None:
    """Of differences from the mean module; the level is open."""
    prior = model().prior_over(MODULES)
    centring = np.eye(len(MODULES)) - 1 / len(MODULES)
    error_M = centring @ (prior.log_utilities - common_log_utilities())
    covariance_MM = prior.design_MD @ prior.covariance_DD @ prior.design_MD.T
    sd_M = np.sqrt(np.diag(centring @ covariance_MM @ centring))
    assert 0.1 < np.sqrt(np.mean((error_M / sd_M) ** 2)) < 1.5


def test_families_left_out_are_foretold() -> None:
    validation = model().validation
    assert [one.family for one in validation.families] == ["family 0", "family 1", "family 2"]
    assert all(one.spearman > 0.5 for one in validation.families)
    assert all(one.low < one.spearman < one.high for one in validation.families)
    assert all(one.num_runs == 40 and one.num_allocations == 32 for one in validation.families)
    assert validation.pooled is not None
    assert model().usefulness == validation.pooled.spearman > 0.7
    assert model().is_useful


@pytest.mark.parametrize("seed", [1, 2])
def test_runs_told_to_have_had_other_runs_ranks_teach_nothing(seed: int) -> None:
    shuffled = learned(past_runs(seed=seed, is_shuffled=True)).model
    assert abs(shuffled.usefulness) < 0.25
    assert not shuffled.is_useful


def test_where_ranks_do_nothing_nothing_is_learned() -> None:
    nothing = learned(past_runs(level=-30.0)).model
    assert abs(nothing.usefulness) < 0.25
    assert not nothing.is_useful


def test_one_family_can_be_learned_from_but_is_never_taken_for_useful() -> None:
    alone = learned(past_runs(num_families=1)).model
    assert alone.validation.pooled is None
    assert alone.validation.families == ()
    assert alone.usefulness == 0
    assert not alone.is_useful


def test_neither_the_order_of_runs_nor_another_call_changes_the_model() -> None:
    runs = past_runs()
    assert learned(runs[::-1]).model == model()


def test_the_model_says_where_it_comes_from() -> None:
    provenance = model().provenance
    assert provenance.num_runs == 120
    assert provenance.train_s == 1200
    assert len(provenance.runs_sha256) == 64
    assert model().families == ("family 0", "family 1", "family 2")


def test_the_model_is_exact_through_json() -> None:
    text = model().model_dump_json()
    again = OfflineModel.model_validate_json(text)
    assert again == model()
    assert again.sha256 == model().sha256
    assert len(text) < 15_000


def test_more_families_make_it_surer() -> None:
    def spread(num_families: int) -> float:
        families, _ = comparable(past_runs(num_families=num_families), MODULES)
        return float(np.trace(pool(families, MODULES).covariance_EE))

    assert spread(6) < spread(1)


def test_too_few_runs_are_refused_with_what_is_needed() -> None:
    with pytest.raises(TooFewRunsError, match=r"at least 20 runs .* got 18 of 18; record more"):
        learned(past_runs(num_families=1, num_runs=18))


def test_runs_that_cannot_be_compared_are_left_out_with_their_reason() -> None:
    runs = past_runs()
    alone = [run for run in runs if run.group == "task 0, rank 1" and run.rule == "uniform"]
    odd = [
        type(run)(**{**vars(run), "id": f"odd {run.id}", "group": "another learning rate"})
        for run in alone
    ]
    broken = type(runs[0])(**{**vars(runs[0]), "id": "broken", "loss": float("nan")})
    result = learned([*runs, *odd, broken])
    assert result.model.provenance.num_runs == 120
    assert result.left_out["broken"] == "no finite loss above 0"
    assert len(result.left_out) == 6
    assert {result.left_out[run.id] for run in odd} == {
        "nothing to compare with: its group has one allocation"
    }


def test_a_model_of_another_version_is_refused() -> None:
    raw = json.loads(model().model_dump_json()) | {"version": 2}
    with pytest.raises(ValidationError, match="version"):
        OfflineModel.model_validate(raw)


def test_it_serves_a_part_of_the_modules_exactly() -> None:
    whole = model().prior_over(MODULES)
    language = tuple(m for m in MODULES if m.part == "language")
    part = model().prior_over(language)
    expected_M = whole.log_utilities[: len(language)]
    assert part.log_utilities == pytest.approx(expected_M, abs=1e-12)


def test_another_depth_takes_its_layers_from_the_same_relative_depth() -> None:
    """Of nine layers the even ones stand where the five learned ones do."""
    deeper = architecture(layers=9)
    assert model().architecture.kinship(deeper) == "kin"
    found = dict(
        zip([m.name for m in deeper], model().prior_over(deeper).log_utilities, strict=True)
    )
    known = dict(
        zip([m.name for m in MODULES], model().prior_over(MODULES).log_utilities, strict=True)
    )
    for layer in range(5):
        name = f"language.layers.{layer}.up_proj"
        assert found[f"language.layers.{2 * layer}.up_proj"] == pytest.approx(known[name])
    between = found["language.layers.3.up_proj"]
    ends = [known[f"language.layers.{layer}.up_proj"] for layer in (1, 2)]
    assert between == pytest.approx(np.mean(ends))


def test_a_module_that_nothing_was_learned_about_is_refused() -> None:
    stranger = MODULES[0].model_copy(update={"name": "projector.linear", "type": "linear"})
    with pytest.raises(ValueError, match=r"knows nothing of projector\.linear; set offline: none"):
        model().prior_over((*MODULES, stranger))
