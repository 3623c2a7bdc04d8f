import pytest
from sqlalchemy import Engine

from rankscope.storage.comparison import compare
from rankscope.storage.errors import UnknownRunError
from rankscope.storage.runs import create_run, set_inventory
from tests.integration.storage.examples import (
    config,
    evaluated,
    failed,
    inventory,
    new_run,
    new_sink,
    sampled,
    status,
)


def scored(engine: Engine, correct: list[bool], *, live: int = 60, **changes: object) -> str:
    run_id = new_run(engine, **changes)
    with new_sink(engine, run_id) as sink:
        sink.emit(sampled(0, live))
        sink.emit(evaluated(1, correct))
    return run_id


def right(num_right: int, num_items: int = 10) -> list[bool]:
    return [index < num_right for index in range(num_items)]


def test_seeds_of_one_configuration_share_a_row_with_a_t_interval(engine: Engine) -> None:
    """Accuracies .5, .6, .7: sd .1, t(2, .975) = 4.302653, half 4.302653 * .1 / sqrt(3)."""
    runs = [scored(engine, right(n), seed=n, name=f"run {n}") for n in (5, 6, 7)]
    [row] = compare(engine, runs).rows.to_dict("records")
    assert (row["num_runs"], row["num_seeds"], row["basis"]) == (3, 3, "t over seeds")
    assert row["accuracy"] == pytest.approx(0.6)
    assert row["high"] - row["accuracy"] == pytest.approx(0.248414, abs=1e-6)


def test_an_interval_of_accuracies_stays_within_0_and_1(engine: Engine) -> None:
    """Accuracies .1 and .9: half 12.706205 * .565685 / sqrt(2) = 5.08, far beyond both."""
    runs = [scored(engine, right(n), seed=n) for n in (1, 9)]
    [row] = compare(engine, runs).rows.to_dict("records")
    assert (row["accuracy"], row["low"], row["high"]) == (pytest.approx(0.5), 0.0, 1.0)


def test_one_seed_gets_the_interval_over_items(engine: Engine) -> None:
    """5 of 10: centre .5, half = 1.959964 * sqrt(.025 + .0096036) / 1.384146 = .263408."""
    [row] = compare(engine, [scored(engine, right(5))]).rows.to_dict("records")
    assert row["basis"] == "Wilson over items"
    assert row["high"] == pytest.approx(0.763408, abs=1e-5)


def test_only_the_settings_that_differ_are_shown(engine: Engine) -> None:
    slow = scored(engine, right(5), optimizer={"lr": 0.001}, tags=["x"])
    fast = scored(engine, right(6), optimizer={"lr": 0.01}, seed=9)
    found = compare(engine, [slow, fast])
    assert found.differences.index.tolist() == ["optimizer.lr"]
    assert found.differences.to_numpy()[0].tolist() == ["0.001", "0.01"]
    assert found.rows["configuration"].tolist() == [
        "uniform optimizer.lr=0.001",
        "uniform optimizer.lr=0.01",
    ]
    assert found.warnings == ()


def test_differences_are_paired_over_shared_seeds(engine: Engine) -> None:
    """Seeds 1, 2 differ by .2, .4: sd .141421, t(1, .975) = 12.706205, half 1.270620."""
    ours = [
        scored(engine, right(n), seed=s, optimizer={"lr": 0.1}) for s, n in [(1, 7), (2, 8), (3, 1)]
    ]
    base = [scored(engine, right(n), seed=s) for s, n in [(1, 5), (2, 4), (4, 9)]]
    [pair] = compare(engine, ours + base, baseline=base[0]).paired.to_dict("records")
    assert (pair["num_seeds"], pair["num_items"], pair["basis"]) == (2, 10, "t over seeds")
    assert pair["difference"] == pytest.approx(0.3)
    assert pair["high"] == pytest.approx(1.570620, abs=1e-5)


def test_one_shared_seed_is_paired_over_items(engine: Engine) -> None:
    """Two of ten items differ: mean .2, sd .4, half = 1.959964 * .4 / sqrt(10) = .247918."""
    ours, base = scored(engine, right(7), optimizer={"lr": 0.1}), scored(engine, right(5))
    [pair] = compare(engine, [ours, base], baseline=base).paired.to_dict("records")
    assert pair["difference"] == pytest.approx(0.2)
    assert pair["high"] == pytest.approx(0.447918, abs=1e-5)


def test_unfair_comparisons_are_said(engine: Engine) -> None:
    base = scored(engine, right(5))
    larger = new_run(engine, budget={"unit": "rank", "value": 2})
    set_inventory(engine, larger, inventory(), budget_params=96)
    with new_sink(engine, larger) as sink:
        sink.emit(status("done", 1))
    excess = scored(engine, right(5, 8), live=65, optimizer={"lr": 0.1})
    found = compare(engine, [base, larger, excess])
    told = " | ".join(found.warnings)
    assert "1 of 1 runs have no test score" in told
    assert "unequal budgets, 96 parameters" in told
    assert "65 live parameters exceed its 64" in told
    assert "not the same test items" in told
    assert found.rows["is_equal_budget"].tolist() == [True, False, True]
    assert found.rows["is_within_budget"].tolist() == [True, True, False]
    assert found.paired["basis"].tolist() == ["none", "none"]


def test_runs_whose_scheduler_failed_are_said(engine: Engine) -> None:
    base = scored(engine, right(5))
    run_id = new_run(engine, optimizer={"lr": 0.1})
    with new_sink(engine, run_id) as sink:
        sink.emit(failed(0, "no luck"))
        sink.emit(evaluated(1, right(5)))
    found = compare(engine, [base, run_id])
    [told] = found.warnings
    assert told.endswith("the scheduler of 1 of 1 runs failed, their ranks stayed")


def test_given_ranks_are_one_configuration_by_their_origin_else_by_themselves(
    engine: Engine,
) -> None:
    """Of equal origin over two seeds: one row. Without it: two, told apart in few characters."""
    given = [{"kind": "fixed", "ranks": {f"m.{n}": n + 1}} for n in range(2)]
    pooled = [
        scored(engine, right(n + 4), seed=n, scheduler=one | {"origin": "final ranks of hydra"})
        for n, one in enumerate(given)
    ]
    apart = [scored(engine, right(5), scheduler=one) for one in given]
    found = compare(engine, [*pooled, *apart])
    assert found.rows["num_seeds"].tolist() == [2, 1, 1]
    assert found.rows["configuration"][0] == "final ranks of hydra"
    assert max(len(label) for label in found.rows["configuration"]) < 80


def test_what_is_not_known_yet_is_not_unequal(engine: Engine) -> None:
    base = scored(engine, right(5))
    waiting = create_run(engine, config(optimizer={"lr": 0.1}), origin="queue", owner="ada")
    found = compare(engine, [base, waiting])
    assert found.rows["is_equal_budget"].tolist() == [True, True]
    assert (found.num_open, found.warnings) == (2, ())


def test_unknown_runs_and_baselines_are_refused(engine: Engine) -> None:
    run_id = new_run(engine)
    for runs, baseline in (([run_id, "nobody"], None), ([run_id], "nobody"), ([], None)):
        with pytest.raises(UnknownRunError):
            compare(engine, runs, baseline=baseline)
