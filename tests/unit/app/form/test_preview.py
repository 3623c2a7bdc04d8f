"""What the page answers to a filled form, without a browser."""

import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine

from rankscope.app.form.budget import equivalents
from rankscope.app.form.preview import SEEDS_KEY, budget_texts, preview, read_form
from rankscope.app.form.values import Value, values_of
from rankscope.app.form.yaml_text import command_of, yaml_of
from rankscope.models.budgets import MegabyteBudget, ParamsBudget, RankBudget
from rankscope.models.config import RunConfig
from rankscope.models.inventory import AdaptableModule, Inventory
from rankscope.models.presets import Preset, preset, presets
from rankscope.models.reading import load_config, parse_config, read_config
from rankscope.models.vlms.linears import known_linears
from rankscope.storage.database import migrate, open_database
from rankscope.storage.settings import Settings


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(rankscope_home=tmp_path_factory.mktemp("files"))


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    engine = open_database(f"sqlite:///{tmp_path_factory.mktemp('home')}/test.db")
    migrate(engine)
    yield engine
    engine.dispose()


def form(**changes: Value) -> dict[str, Value]:
    """The form of the demo with changes; ``__`` in a name stands for a dot."""
    changed = {key.replace("__", "."): value for key, value in changes.items()}
    values = values_of(preset("demo").config) | {SEEDS_KEY: "1"}
    assert changed.keys() <= values.keys()
    return values | changed


@pytest.mark.parametrize(
    ("changes", "key", "words"),
    [
        ({"optimizer__lr": "5"}, "optimizer.lr", "at most 1, got 5"),
        ({"training__steps": "abc"}, "training.steps", 'a whole number, got "abc"'),
        ({"tags": "a, a"}, "tags", "must be distinct"),
        ({"tags": f"a, {'b' * 61}"}, "tags", "at most 60 characters"),
        ({"lora__min_rank": "17"}, "lora.min_rank", "must not exceed lora.max_rank=16"),
        ({"parts__language": "frozen"}, "parts", "at least one"),
        ({"optimizer__full_lr_ratio": "2"}, "parts", "must name a part"),
        ({"lora__targets": "("}, "lora.targets", "must be a regular expression"),
        ({"lora__targets": "zzz"}, "lora.targets", "must match"),
        ({"budget__rank__value": "0.001"}, "budget.rank.value", "got 13; raise it"),
        (
            {"budget": "params", "budget__params__value": ""},
            "budget.params.value",
            "a whole number",
        ),
        ({"lora__min_rank": "2"}, "budget.rank.value", "raise the budget or lower lora.min_rank"),
        ({"lora__pins": "layers.0: 17"}, "lora.pins", "must lie within lora.min_rank=0"),
        ({"lora__pins": "nowhere: 1"}, "lora.pins", "'nowhere' matches none"),
        ({"lora__pins": "layers: 3"}, "budget.rank.value", "raise the budget or lower the pins"),
        ({"lora__pins": "proj: 0"}, "lora.pins", "must be able to hold an adapter"),
        ({"lora__min_rank": "1", "lora__rank_multiple": "2"}, "lora.min_rank", "round it"),
        ({"scheduler": "full", "lora__pins": "q: 1"}, "lora.pins", "which sets ranks by itself"),
        ({"scheduler": "fixed"}, "scheduler.fixed.ranks", "give at least one module a rank"),
        (
            {"scheduler": "fixed", "scheduler__fixed__ranks": "q_proj: 1"},
            "scheduler.fixed.ranks",
            "must name adapted modules by their full path",
        ),
        (
            {"scheduler": "adalora", "training__steps": "1"},
            "training.steps",
            "raise training.steps",
        ),
        (
            {"scheduler": "adalora", "scheduler__adalora__final_fraction": "0.95"},
            "scheduler.adalora.warmup_fraction",
            "must be below 1",
        ),
        (
            {"scheduler__hydra__first_event_fraction": "0.9"},
            "scheduler.hydra.first_event_fraction",
            "must not exceed freeze_fraction",
        ),
        (
            {"scheduler": "static", "scheduler__static__where": "pattern"},
            "scheduler.static.where",
            "needs a pattern",
        ),
        (
            {"scheduler": "static", "scheduler__static__pattern": "x"},
            "scheduler.static.pattern",
            "remove the pattern",
        ),
        (
            {
                "scheduler": "static",
                "scheduler__static__where": "pattern",
                "scheduler__static__pattern": "zzz",
            },
            "scheduler",
            "must select at least one module",
        ),
        ({"scheduler": "no such"}, "scheduler", "must be one of"),
        ({"optimizer__layer_rates": ""}, "optimizer.layer_rates", "must be one of"),
        ({SEEDS_KEY: "0"}, SEEDS_KEY, "from 1 to 100"),
        ({SEEDS_KEY: "1e3"}, SEEDS_KEY, "whole number"),
        ({"seed": str(2**32 - 1), SEEDS_KEY: "2"}, SEEDS_KEY, "below 2^32"),
    ],
)
def test_a_refusal_stands_beside_the_field_that_caused_it(
    engine: Engine, process: Settings, changes: dict[str, Value], key: str, words: str
) -> None:
    filled = read_form(form(**changes))
    assert list(filled.problems) == [key]
    assert words in filled.problems[key][0]
    assert preview(engine, filled, process)["plan"] is None


def test_all_problems_are_shown_at_once() -> None:
    wrong = form(optimizer__lr="x", training__steps="", tags="a, a", num_seeds="many")
    assert set(read_form(wrong).problems) == {"optimizer.lr", "training.steps", "tags", SEEDS_KEY}


READ_BY_NOBODY = [p for p in presets() if known_linears(p.config.model) is not None]
"""Presets of models that are known without their files; test_targets.py has the others."""


@pytest.mark.parametrize("found", READ_BY_NOBODY, ids=lambda p: p.name)
def test_every_preset_of_a_known_model_can_be_launched_and_is_drawn(
    engine: Engine, process: Settings, found: Preset
) -> None:
    filled = read_form(values_of(found.config) | {SEEDS_KEY: "3"})
    assert filled.problems == {}
    assert filled.seeds == (0, 1, 2)
    answer = preview(engine, filled, process)
    has_adapters = bool(found.config.lora.parts)
    assert answer["plan"]["has_adapters"] == has_adapters
    assert (answer["plan"]["budget_params"] > 0) == has_adapters
    assert bool(answer["plan"]["figure"]["data"]) == has_adapters
    cost = answer["cost"]
    assert cost["memory"]["total_bytes"] > cost["memory"]["base_weights_bytes"] > 0
    assert 0 < cost["time"]["total_s"]["low"] < cost["time"]["total_s"]["high"]
    assert cost["time"]["kind"] == "operations"
    assert "assumed" in cost["time"]["basis"]


@pytest.mark.parametrize("scheduler", ["uniform", "static", "adalora", "full", "gradient", "hydra"])
def test_yaml_and_command_give_the_same_config_again(scheduler: str, tmp_path: Path) -> None:
    config = read_form(form(scheduler=scheduler, name="it's <b> 'YAML'", tags="a b, c")).config
    assert config is not None
    assert read_config(yaml_of(config), "the text") == config
    first, rest = command_of(config, 2).split("\n", 1)
    assert shlex.split(first)[:5] == ["rankscope", "submit", "/dev/stdin", "--seeds", "2"]
    copied = tmp_path / "run.yaml"
    script = f"cat > {shlex.quote(str(copied))} <<'YAML'\n{rest}\n"
    subprocess.run(["bash", "-c", script], check=True)
    assert load_config(copied) == config


def test_yaml_names_what_differs_and_the_chosen_kinds() -> None:
    config = parse_config({"data": {"kind": "scenes"}, "training": {"steps": 7}})
    assert yaml_of(config) == (
        "model: {kind: embedded}\n"
        "data: {kind: scenes}\n"
        "budget: {unit: rank, value: 1.0}\n"
        "scheduler: {kind: uniform}\n"
        "training: {steps: 7}\n"
    )


@given(params=st.integers(1, 10**12), cost=st.integers(2, 10**9))
def test_a_budget_stays_the_same_in_every_unit(params: int, cost: int) -> None:
    module = AdaptableModule(name="m", part="language", layer=0, type="q", d_in=1, d_out=cost - 1)
    inventory = Inventory(modules=(module,), total_params=1)
    texts = equivalents(ParamsBudget(value=params), inventory)
    assert ParamsBudget(value=int(texts["params"])).params(inventory) == params
    megabytes = MegabyteBudget.model_construct(value=float(texts["megabytes"]))
    assert megabytes.params(inventory) == params
    rank = RankBudget.model_construct(value=float(texts["rank"]))
    assert rank.params(inventory) == params


def test_the_budget_is_told_in_the_other_units_even_while_something_else_is_wrong() -> None:
    texts = budget_texts(form(optimizer__lr="x"))
    assert texts == {"params": "13056", "megabytes": "0.052224"}
    assert budget_texts(form(budget__rank__value="x")) == {}


def test_every_unit_of_a_budget_has_its_equivalent() -> None:
    units = RunConfig.model_json_schema()["properties"]["budget"]["discriminator"]["mapping"]
    assert {"rank", *budget_texts(form())} == set(units)
