"""The decision rule, computed from a result."""

import copy
from pathlib import Path
from typing import Any

import pytest

from benchmarks.science.protocol import read_protocol
from benchmarks.science.results import BASELINE, CHALLENGER
from benchmarks.science.verdict import REFERENCE, Clause, clauses, verdict_text
from tests.unit.benchmarks.protocols import comparison


@pytest.fixture
def answer(tmp_path: Path) -> dict[str, Any]:
    return comparison(tmp_path)


def holding(answer: dict[str, Any], part: str) -> list[bool]:
    return [clause.holds for clause in clauses(answer) if clause.part == part]


def test_the_primary_endpoint_is_won_only_where_its_interval_lies_above_zero(
    answer: dict[str, Any],
) -> None:
    hydra = answer["arms"]["hydra"]
    hydra |= {"relative_gain_vs_uniform": 0.03, "ci95": [0.001, 0.06]}
    hydra["ci95_tasks_drawn"] = [-0.02, 0.08]
    [found] = [clause for clause in clauses(answer) if clause.part == "primary endpoint"]
    assert found == Clause(
        "primary endpoint",
        "gain over uniform: interval above zero",
        "+3.0 % [+0.1, +6.0]; with tasks drawn too [-2.0, +8.0]",
        True,
    )
    hydra["ci95"] = [0.0, 0.06]
    assert holding(answer, "primary endpoint") == [False]
    assert "**hydra over uniform: not won.**" in verdict_text(answer)


def test_a_rival_is_beaten_by_a_corrected_p_and_a_positive_difference(
    answer: dict[str, Any],
) -> None:
    """Rivals are uniform, mlp only and full; what is charged is none."""
    hydra = answer["arms"]["hydra"]
    for key, p, difference in (
        ("uniform", 0.04, 0.1),
        ("mlp_only", 0.05, 0.1),
        ("full", 0.04, -0.1),
    ):
        hydra |= {f"vs_{key}_p_holm": p, f"vs_{key}": difference}
    assert holding(answer, "rival") == [True, False, False]
    assert "Rivals beaten after correction: 1 of 3." in verdict_text(answer)


def test_worse_on_a_task_means_by_more_than_the_half_width(answer: dict[str, Any]) -> None:
    """Half width .02: .019 below is not worse, .021 is."""
    for task, below in (("answers", 0.019), ("skills", 0.021)):
        figures = answer["tasks"][task]["hydra"]
        figures |= {"vs_uniform": -below, "vs_uniform_ci95": [-below - 0.02, -below + 0.02]}
    assert holding(answer, "not worse") == [True, False]
    assert "1 of 2." in verdict_text(answer)


def test_the_reference_is_asked_for_only_where_it_ran(answer: dict[str, Any]) -> None:
    """It lies .1 above hydra on one task and .02 below on the other."""
    assert not any("at least one task" in clause.asks for clause in clauses(answer))
    answer["arms"][REFERENCE] = copy.deepcopy(answer["arms"]["full"])
    for task, less in (("answers", 0.1), ("skills", -0.02)):
        figures = {"vs_hydra": less, "vs_hydra_ci95": [less - 0.05, less + 0.05]}
        answer["tasks"][task][REFERENCE] = figures
    [found] = [clause for clause in clauses(answer) if "at least one task" in clause.asks]
    assert (found.found, found.holds) == ("best on skills: +2.0 [-3.0, +7.0] points", True)
    assert found.part == "beside the rule"


def test_scheduling_may_take_a_tenth_of_training(answer: dict[str, Any]) -> None:
    """.1 s beside 1 s on both tasks is a tenth; .3 s on one of them is a fifth."""
    found = clauses(answer)[-1]
    assert (found.found, found.holds) == ("10.0 %", True)
    answer["tasks"]["skills"]["hydra"]["steering_s"] = 0.3
    answer["offline"] = {"m": {"num_runs": 9, "train_s": 60.0, "paid_back_after_runs": None}}
    found = clauses(answer)[-1]
    assert found.found.startswith("20.0 %; the 9 runs that m was learned from (60 s)")
    assert found.found.endswith("never within that share")
    assert not found.holds


def test_the_arms_that_the_rule_names_stand_in_the_protocol() -> None:
    assert {BASELINE, CHALLENGER, REFERENCE} <= read_protocol()[0].arms.keys()
