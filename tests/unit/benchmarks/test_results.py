"""The figures of a comparison, and their tables."""

import json

import numpy as np
import pytest

from benchmarks.science.protocol import Cell
from benchmarks.science.records import OfflineCost
from benchmarks.science.results import compared, opponents, rank_agreement, scores_of
from benchmarks.science.tables import cost_table, tables_of
from benchmarks.science.verdict import is_decidable
from tests.unit.benchmarks.protocols import ARMS, PICTURES, protocol, record, runs


def test_the_json_object_has_the_promised_shape() -> None:
    """Means .75 and .45: a gain of 2 / 3; .75 - .65 = .1."""
    answer = compared(protocol(), runs(), PICTURES)
    json.dumps(answer, allow_nan=False)
    hydra = answer["arms"]["hydra"]
    assert hydra["accuracy"] == pytest.approx(0.75)
    assert hydra["relative_gain_vs_uniform"] == pytest.approx(2 / 3)
    assert hydra["ci95"][0] < 2 / 3 < hydra["ci95"][1]
    assert hydra["vs_mlp_only"] == pytest.approx(0.1)
    assert len(hydra["vs_mlp_only_ci95"]) == 2
    assert answer["tasks"]["skills"]["hydra"]["accuracy"] == pytest.approx(0.75)
    assert answer["tasks"]["answers"]["full"]["max_live_share"] == 4.0


def test_without_a_right_answer_of_uniform_there_is_no_gain_and_still_json() -> None:
    mine = [
        record(Cell("answers", arm, 1, seed, "test"), [arm == "hydra", False])
        for arm in ("uniform", "hydra")
        for seed in (0, 1)
    ]
    answer = compared(protocol(), mine, PICTURES)
    json.dumps(answer, allow_nan=False)
    assert "relative_gain_vs_uniform" not in answer["arms"]["hydra"]
    assert answer["arms"]["hydra"]["vs_uniform"] == 0.5
    assert not is_decidable(answer)
    assert "| hydra | 50.0 ± 50.0 | 50.0 | – |" in tables_of(answer)


def test_agreement_of_final_ranks_is_over_pairs_of_seeds() -> None:
    assert rank_agreement([[0, 1, 2, 3], [0, 1, 2, 3], [3, 2, 1, 0]]) == pytest.approx(-1 / 3)
    assert rank_agreement([[1, 1, 1], [0, 1, 2]]) is None
    assert rank_agreement([[0, 1, 2]]) is None


def test_p_values_are_corrected_over_rivals_and_not_over_variants() -> None:
    hydra = compared(protocol(), runs(), PICTURES)["arms"]["hydra"]
    corrected = {key for key in hydra if key.endswith("_p_holm")}
    assert corrected == {"vs_uniform_p_holm", "vs_mlp_only_p_holm", "vs_full_p_holm"}
    assert hydra["vs_uniform_p_holm"] >= hydra["vs_uniform_p"]
    assert "vs_mlp_only_more" in hydra


def test_who_meets_whom() -> None:
    rules = protocol()
    rivals = ("uniform", "mlp only", "full")
    assert opponents(rules, "hydra", ARMS) == (rivals, ("hydra, less", "mlp only, more"))
    assert opponents(rules, "hydra, less", ARMS) == (rivals, ("mlp only, more",))
    assert opponents(rules, "mlp only, more", ARMS) == ((), ("mlp only",))
    assert opponents(rules, "mlp only", ARMS) == ((), ("uniform",))
    assert opponents(rules, "uniform", ARMS) == ((), ())


def test_budgets_and_draws_are_averaged_before_seeds_and_items() -> None:
    """Budget 1: draws right on item 0 and on both; budget 2: on none.

    Item 0: 1 and 0 are 1 / 2; item 1: 1 / 2 and 0 are 1 / 4.
    """
    cells = [
        record(Cell("answers", "random", 1, 0, "test", draw=0), [True, False]),
        record(Cell("answers", "random", 1, 0, "test", draw=1), [True, True]),
        record(Cell("answers", "random", 2, 0, "test"), [False, False]),
    ]
    found = scores_of(cells, "answers", ["random"], np.arange(5))
    assert found.correct_ASI.tolist() == [[[0.5, 0.25]]]
    assert found.pictures_I.tolist() == [0, 1]


def test_an_arm_that_misses_a_seed_is_refused() -> None:
    with pytest.raises(ValueError, match="mlp only on answers did not"):
        compared(protocol(), [r for r in runs() if r.cell != runs()[8].cell], PICTURES)


def test_the_offline_runs_are_paid_back_when_all_scheduling_is_under_a_tenth() -> None:
    """Training 10 s, decisions 0.4 s: 0.6 s of the tenth are left; 30 s / 0.6 s = 50 runs."""
    offline = OfflineCost("learned", ("look",), num_runs=3, train_s=30.0)
    for steering_s, after in ((0.4, 50), (1.2, None)):
        mine = [
            record(
                Cell("answers", arm, 1, 0, "test"),
                [True, False],
                train_s=10.0,
                steering_s=steering_s,
                offline=offline if arm == "hydra" else None,
            )
            for arm in ("uniform", "hydra")
        ]
        found = compared(protocol(), mine, PICTURES)["offline"]
        assert found == {"learned": {"num_runs": 3, "train_s": 30.0, "paid_back_after_runs": after}}


def test_the_tables_show_equal_steps_apart_from_equal_wall_clock() -> None:
    answer = compared(protocol(), runs(), PICTURES)
    main, title, second = tables_of(answer).split("\n\n")
    assert title == "Equal wall-clock:"
    assert "hydra, less" not in main
    assert "| full † |" in main  # holds more than the budget
    assert "+66.7 % [" in main
    assert "| hydra, less less mlp only | +0.0 [" in second
    assert "| hydra less mlp only, more | +0.0 [" in second


def test_the_table_of_costs_by_hand() -> None:
    """Decisions of 0.1 s beside training of 1 s: 10 %."""
    table = cost_table(compared(protocol(), runs(), PICTURES))
    assert "| hydra | 1.000 | 1.0 | 0.10 | 10.0 % |" in table
    assert "| full | 4.000 | 1.0 | 0.00 | 0.0 % |" in table
