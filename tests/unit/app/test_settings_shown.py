"""Settings of a run beside their defaults."""

from typing import Any

from rankscope.app.settings_shown import settings_shown
from rankscope.models.config import RunConfig


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
