import pytest

from benchmarks.science.protocol import read_protocol
from benchmarks.science.winners import read_winners
from rankscope.app.demonstration import ARMS, BUDGET, configs, result_of
from rankscope.models.config import RunConfig
from rankscope.storage.database import open_database
from rankscope.storage.intervals import wilson
from rankscope.storage.settings import Settings
from rankscope.tasks.client import plan
from tests.unit.app.past_runs import PastRuns

KINDS = ("uniform", "hydra", "adalora")


def test_every_arm_trains_as_long_and_at_the_rate_that_won_for_it_on_validation() -> None:
    protocol, _ = read_protocol()
    assert {config.training.steps for config in configs()} == {protocol.common["training"]["steps"]}
    winners, _ = read_winners()
    for arm in ARMS:
        kind = arm.scheduler.kind
        winner = winners.arms[kind]["answers"][BUDGET.value]
        shown = arm.scheduler.model_dump(mode="json")
        won = {key: shown[key] for key in winner.trial.get("scheduler", {})}
        here = {"optimizer": {"lr": arm.rate}} | ({"scheduler": won} if won else {})
        assert here == winner.trial, (
            f"the demo must run {kind} as benchmarks/winners.yaml says; correct ARMS in "
            "app/demonstration.py"
        )


def test_what_the_rates_were_chosen_under_holds_here_too() -> None:
    protocol, _ = read_protocol()
    hydra = protocol.arms["hydra"].config["scheduler"]
    family = protocol.tasks["answers"].family
    for config in configs():
        raw = config.model_dump(mode="json")
        assert set(raw["lora"]["parts"]) == set(protocol.common["lora"]["parts"])
        assert raw["training"]["warmup_fraction"] == protocol.common["training"]["warmup_fraction"]
        assert raw["budget"]["value"] in protocol.presets["standard"].budgets
        if config.scheduler.kind == "hydra":
            assert raw["scheduler"]["offline"] == hydra["offline"].replace("{family}", family)


def test_arms_differ_in_scheduler_and_rate_alone() -> None:
    different = []
    for config in configs():
        raw = config.model_dump(mode="json")
        different.append((raw.pop("scheduler")["kind"], raw["optimizer"].pop("lr")))
        raw.pop("name")
        assert raw == {
            key: value
            for key, value in configs()[0].model_dump(mode="json").items()
            if key not in ("scheduler", "name")
        } | {"optimizer": raw["optimizer"]}
    assert different == [(arm.scheduler.kind, arm.rate) for arm in ARMS]
    assert tuple(kind for kind, _ in different) == KINDS


def test_arms_are_valid_and_have_one_budget() -> None:
    for config in configs():
        assert RunConfig.model_validate(config.model_dump(mode="json")) == config
    assert {plan(config).budget_params for config in configs()} == {29_696}


def test_one_seed_has_an_interval_over_items(past_runs: PastRuns) -> None:
    engine = open_database(Settings(rankscope_home=past_runs.home).database_url)
    result = result_of(engine, past_runs.static[:1])
    assert result == {
        "scheduler": "static",
        "seeds": 1,
        "budget_params": 32,
        "max_live_params": 32,
        "rank_events": 1,
        "params_moved": 16,
        "accuracy_before": None,
        "accuracy_mean": 0.7,
        "accuracy_ci95": [pytest.approx(wilson(0.7, 10).low), pytest.approx(wilson(0.7, 10).high)],
        "ci_basis": "items",
        "items": 10,
    }


def test_several_seeds_have_an_interval_over_both_and_sums_of_events(past_runs: PastRuns) -> None:
    """Accuracies .7 and .9."""
    engine = open_database(Settings(rankscope_home=past_runs.home).database_url)
    result = result_of(engine, past_runs.static)
    assert result["accuracy_mean"] == pytest.approx(0.8)
    assert (result["ci_basis"], result["seeds"]) == ("items+seeds", 2)
    assert (result["rank_events"], result["params_moved"]) == (2, 32)
    low, high = result["accuracy_ci95"]
    assert 0 <= low < 0.7
    assert 0.9 < high <= 1
