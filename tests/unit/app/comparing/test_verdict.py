"""What may be said of a comparison, from its intervals."""

from typing import Any

import pandas as pd
import pytest

from rankscope.app.comparing.verdict import verdict
from rankscope.storage.comparison import Comparison


def compared(*pairs: dict[str, Any], unfair: tuple[str, ...] = (), num_open: int = 0) -> Comparison:
    """Uniform as the baseline, and one configuration for every pair."""
    rows = [
        {
            "configuration": name,
            "is_equal_budget": name not in unfair,
            "is_within_budget": True,
        }
        for name in ("uniform", *(pair["configuration"] for pair in pairs))
    ]
    return Comparison(
        rows=pd.DataFrame(rows),
        differences=pd.DataFrame(),
        paired=pd.DataFrame(list(pairs)),
        baseline="uniform",
        num_open=num_open,
        warnings=(),
    )


def pair(
    name: str, difference: float, low: float, high: float, *, num_seeds: int = 5
) -> dict[str, Any]:
    return {
        "configuration": name,
        "difference": difference,
        "low": low,
        "high": high,
        "basis": "t over seeds",
        "num_seeds": num_seeds,
        "num_items": 1200,
    }


NAN = float("nan")


def test_an_interval_above_zero_is_a_gain() -> None:
    said = verdict(compared(pair("hydra", 0.076, 0.04, 0.112)))
    assert said.answer == "Yes: hydra is better than uniform"
    assert said.findings == (
        (
            "better",
            "hydra minus uniform: +7.6 points, 95 % interval +4.0 to +11.2, paired over 5 seeds. "
            "It does not hold zero: hydra is better.",
        ),
    )
    assert said.caveats == ()


def test_an_interval_that_holds_zero_shows_nothing() -> None:
    said = verdict(compared(pair("hydra", 0.004, -0.012, 0.02)))
    assert said.answer == "No difference is shown"
    assert "95 % interval −1.2 to +2.0" in said.findings[0][1]
    assert said.findings[0][1].endswith("It holds zero, so no difference is shown.")


def test_gains_and_losses_are_told_apart() -> None:
    two = compared(pair("hydra", 0.1, 0.05, 0.15), pair("adalora", -0.1, -0.15, -0.05))
    said = verdict(two)
    assert said.answer == "Yes: hydra is better than uniform, adalora is worse than uniform"


def test_one_seed_does_not_make_a_difference_real() -> None:
    said = verdict(compared(pair("hydra", 0.1, 0.05, 0.15, num_seeds=1)))
    assert said.answer == "One seed cannot tell"
    assert "paired over 1,200 test items of one seed" in said.findings[0][1]
    assert said.findings[0][1].endswith("of these two trained models that of hydra is better.")


def test_while_runs_are_live_the_answer_is_a_present_one() -> None:
    clear, unclear = pair("hydra", 0.1, 0.05, 0.15), pair("hydra", 0.0, -0.1, 0.1)
    assert verdict(compared(clear, num_open=1)).answer == "So far: hydra is better than uniform"
    assert verdict(compared(unclear, num_open=1)).answer == "No difference is shown so far"


def test_without_scores_nothing_is_known() -> None:
    said = verdict(compared(pair("hydra", NAN, NAN, NAN, num_seeds=0), num_open=2))
    assert (said.answer, said.is_known) == ("Not known yet", False)
    assert said.findings[0][0] == "unknown"
    assert said.caveats[0].startswith("Provisional: 2 runs have not ended")


def test_one_configuration_has_nothing_beside_it() -> None:
    said = verdict(compared(num_open=1))
    assert said.answer == "There is nothing to compare with"
    assert len(said.caveats) == 1


@pytest.mark.parametrize(("num_seeds", "begins"), [(1, "One seed"), (2, "Two seeds")])
def test_few_seeds_are_pointed_out(num_seeds: int, begins: str) -> None:
    few = compared(pair("hydra", 0.1, 0.05, 0.15, num_seeds=num_seeds))
    [caveat] = verdict(few).caveats
    assert caveat.startswith(begins)


def test_several_intervals_are_said_to_be_uncorrected() -> None:
    """Three intervals of 95 %: by the union bound up to 15 % chance of one false alarm."""
    three = compared(*(pair(name, 0.1, 0.05, 0.15) for name in ("a", "b", "c")))
    [caveat] = verdict(three).caveats
    assert "not corrected for multiple comparisons" in caveat
    assert "up to 15 % chance" in caveat


def test_unequal_parameters_limit_what_may_be_said() -> None:
    unfair = compared(pair("wide", 0.1, 0.05, 0.15), unfair=("wide",))
    [caveat] = verdict(unfair).caveats
    assert caveat.startswith("Not at equal parameters (wide)")
