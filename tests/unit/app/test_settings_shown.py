"""Settings of a run beside their defaults."""

from typing import Any

from rankscope.app.settings_shown import settings_shown
from rankscope.models.budgets import ParamsBudget
from rankscope.models.config import RunConfig
from rankscope.models.external import ExternalData, ExternalRun, ExternalTraining
from rankscope.models.schedulers.adalora import AdaLora


def changed(config: dict[str, Any]) -> set[str]:
    full = RunConfig.model_validate(config).model_dump(mode="json")
    return {row["key"] for row in settings_shown(full) if not row["is_default"]}


def test_only_what_was_chosen_differs() -> None:
    assert changed({"data": {"kind": "scenes", "task": "hues"}}) == {"data.kind", "data.task"}
    assert changed(
        {"data": {"kind": "scenes", "task": "hues"}, "seed": 3, "optimizer": {"lr": 0.02}}
    ) == {"data.kind", "data.task", "seed", "optimizer.lr"}


def test_a_schedulers_settings_are_compared_with_its_own_defaults() -> None:
    data = {"kind": "scenes", "task": "answers"}
    assert changed({"data": data, "scheduler": {"kind": "hydra"}}) == {
        "data.kind",
        "data.task",
        "scheduler.kind",
    }


def test_a_budget_without_a_default_of_its_own_is_shown() -> None:
    data = {"kind": "scenes", "task": "answers"}
    shown = changed({"data": data, "budget": {"unit": "params", "value": 5000}})
    assert {"budget.unit", "budget.value"} <= shown


def test_a_config_of_another_version_is_shown_as_it_is() -> None:
    rows = settings_shown({"version": 7, "data": {"kind": "moon"}, "tide": 3})
    assert [(row["key"], row["value"], row["is_default"]) for row in rows] == [
        ("version", 7, False),
        ("data.kind", "moon", False),
        ("tide", 3, False),
    ]


def test_of_a_run_that_others_train_only_what_is_known_of_it_is_shown() -> None:
    described = ExternalRun(
        name="mine",
        data=ExternalData(task="maps"),
        budget=ParamsBudget(value=48),
        scheduler=AdaLora(beta1=0.5),
        training=ExternalTraining(steps=40),
    )
    rows = settings_shown(described.model_dump(mode="json"))
    assert {row["key"]: row["value"] for row in rows if not row["is_default"]} == {
        "name": "mine",
        "data.task": "maps",
        "budget.value": 48,
        "scheduler.kind": "adalora",
        "scheduler.beta1": 0.5,
        "training.steps": 40,
    }
    assert "training.lr" in {row["key"] for row in rows}


def test_of_a_run_that_others_train_by_another_version_all_is_shown() -> None:
    rows = settings_shown({"kind": "external", "tide": 3})
    assert [(row["key"], row["is_default"]) for row in rows] == [("kind", False), ("tide", False)]
