"""The form loses nothing: every configuration comes back from it as it was."""

import re
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from rankscope.app.form.fields import form_of, keys_in
from rankscope.app.form.run_form import run_form
from rankscope.app.form.values import mapping_of, values_of
from rankscope.models.budgets import Budget
from rankscope.models.config import RunConfig
from rankscope.models.data import AnyDataset
from rankscope.models.data.scenes_tasks import TASKS
from rankscope.models.presets import Preset, presets
from rankscope.models.reading import ConfigError, parse_config
from rankscope.models.schedulers import AnyScheduler
from rankscope.models.training_settings import LayerRates
from rankscope.models.vlms import AnyVlm


def members(union: Any) -> tuple[type[BaseModel], ...]:
    """Classes of an annotated union."""
    found: tuple[type[BaseModel], ...] = get_args(get_args(union)[0])
    return found


def configs() -> st.SearchStrategy[RunConfig]:
    """Any valid configuration, as drawn from pydantic's bounds."""
    number = st.floats(min_value=1e-6, max_value=0.999)
    scheduler = st.sampled_from(members(AnyScheduler)).map(lambda c: {"kind": kind_of(c)})
    data = st.fixed_dictionaries(
        {
            "kind": st.just("scenes"),
            "task": st.sampled_from(sorted(TASKS)),
            "seed": st.integers(0, 2**32 - 1),
        }
    )
    budget = st.one_of(
        st.fixed_dictionaries({"unit": st.just("rank"), "value": st.floats(1e-9, 1024)}),
        st.fixed_dictionaries({"unit": st.just("params"), "value": st.integers(1, 10**18)}),
        st.fixed_dictionaries({"unit": st.just("megabytes"), "value": st.floats(1e-9, 1e6)}),
    )
    tags = st.lists(st.text(min_size=1, max_size=60), max_size=5, unique=True)
    return st.fixed_dictionaries(
        {
            "name": st.text(max_size=200),
            "tags": tags,
            "seed": st.integers(0, 2**32 - 1),
            "data": data,
            "budget": budget,
            "scheduler": scheduler,
            "lora": st.fixed_dictionaries(
                {
                    "parts": st.sets(
                        st.sampled_from(["vision", "projector", "language"]), min_size=1
                    ),
                    "scale": number,
                    "targets": st.text(),
                }
            ),
            "optimizer": st.fixed_dictionaries({"lr": number, "beta1": number}),
            "evaluation": st.fixed_dictionaries(
                {
                    "test_items": st.none() | st.integers(1, 10**6),
                    "shuffled_images": st.booleans(),
                }
            ),
        }
    ).map(RunConfig.model_validate)


def kind_of(model: type[BaseModel], discriminator: str = "kind") -> str:
    (kind,) = get_args(model.model_fields[discriminator].annotation)
    return str(kind)


@given(configs())
def test_a_config_comes_back_from_the_form_as_it_was(config: RunConfig) -> None:
    values = values_of(config)
    again = parse_config(mapping_of(values))
    assert again == config
    assert values_of(again) == values


PAIRS = {"(?:q|k)_proj": 2, ' "odd" ': 0, '"': 1, "a: b": 3}


def test_pairs_stand_on_lines_and_come_back_as_they_were() -> None:
    factors = {"model.layers.0.q_proj": 0.5}
    scheduler = {"kind": "fixed", "ranks": {"model.layers.0.q_proj": 4}, "lr_factors": factors}
    raw = {"data": {"kind": "scenes"}, "lora": {"pins": PAIRS}, "scheduler": scheduler}
    config = parse_config(raw)
    values = values_of(config)
    assert str(values["lora.pins"]).splitlines()[0] == "(?:q|k)_proj: 2"
    assert values["scheduler.fixed.lr_factors"] == "model.layers.0.q_proj: 0.5"
    assert parse_config(mapping_of(values)) == config


@pytest.mark.parametrize(
    ("typed", "problem"),
    [
        ("q_proj", 'lora.pins.q_proj must be a whole number, got ""'),
        ("q_proj: two", 'lora.pins.q_proj must be a whole number, got "two"'),
        ("q_proj: 1\n\nq_proj: 2", 'lora.pins.q_proj must be a whole number, got "1, 2"'),
    ],
)
def test_a_line_that_is_no_pair_is_refused(typed: str, problem: str) -> None:
    values = values_of(presets()[0].config) | {"lora.pins": typed}
    with pytest.raises(ConfigError, match=re.escape(problem)):
        parse_config(mapping_of(values))


@pytest.mark.parametrize("preset", presets(), ids=lambda p: p.name)
def test_every_preset_comes_back_from_the_form_as_it_was(preset: Preset) -> None:
    assert parse_config(mapping_of(values_of(preset.config))) == preset.config


@pytest.mark.parametrize("scheduler", members(AnyScheduler), ids=kind_of)
def test_every_scheduler_has_its_fields_in_the_form(scheduler: type[BaseModel]) -> None:
    _has_its_fields("scheduler", scheduler, {"data": {"kind": "scenes"}})


NAMED = {"files": {"path": "own.jsonl"}, "hub": {"id": "owner/name"}}
"""Where people's own data are, which has no default."""


@pytest.mark.parametrize("dataset", members(AnyDataset), ids=kind_of)
def test_every_data_set_has_its_fields_in_the_form(dataset: type[BaseModel]) -> None:
    _has_its_fields("data", dataset, {"data": NAMED.get(kind_of(dataset), {})})


@pytest.mark.parametrize("model", members(AnyVlm), ids=kind_of)
def test_every_model_has_its_fields_in_the_form(model: type[BaseModel]) -> None:
    named = {"source": "owner/name"} if "source" in model.model_fields else {}
    _has_its_fields("model", model, {"data": {"kind": "scenes"}, "model": named})


@pytest.mark.parametrize(
    ("parts", "full_parts"),
    [(["language"], []), (["vision", "language"], ["projector"]), (["projector"], ["vision"])],
)
def test_each_part_of_a_model_is_frozen_adapted_or_trained_in_full(
    parts: list[str], full_parts: list[str]
) -> None:
    raw = {
        "data": {"kind": "scenes"},
        "lora": {"parts": parts},
        "training": {"full_parts": full_parts},
    }
    config = parse_config(raw)
    values = values_of(config)
    for part in ("vision", "projector", "language"):
        way = "lora" if part in parts else "full" if part in full_parts else "frozen"
        assert values[f"parts.{part}"] == way
    assert parse_config(mapping_of(values)) == config


@pytest.mark.parametrize("rates", members(LayerRates), ids=kind_of)
def test_every_kind_of_layer_rates_has_its_fields_in_the_form(rates: type[BaseModel]) -> None:
    raw = {"data": {"kind": "scenes"}, "optimizer": {"layer_rates": {"kind": kind_of(rates)}}}
    config = parse_config(raw)
    assert parse_config(mapping_of(values_of(config))) == config
    fields = {f"optimizer.layer_rates.{kind_of(rates)}.{name}" for name in rates.model_fields}
    assert fields - {f"optimizer.layer_rates.{kind_of(rates)}.kind"} <= set(keys_in(run_form()))


@pytest.mark.parametrize("budget", members(Budget), ids=lambda b: kind_of(b, "unit"))
def test_every_unit_of_the_budget_has_its_value_in_the_form(budget: type[BaseModel]) -> None:
    unit = kind_of(budget, "unit")
    config = parse_config({"data": {"kind": "scenes"}, "budget": {"unit": unit, "value": 7}})
    assert values_of(config)[f"budget.{unit}.value"] == "7"
    assert parse_config(mapping_of(values_of(config))) == config


def test_keys_are_unique() -> None:
    keys = list(keys_in(run_form()))
    assert len(set(keys)) == len(keys)


def test_what_is_typed_for_a_kind_not_chosen_is_kept_and_left_out() -> None:
    values = values_of(presets()[0].config) | {"scheduler": "uniform"}
    values["scheduler.hydra.probe_items"] = "not a number"
    assert mapping_of(values)["scheduler"] == {"kind": "uniform"}
    assert parse_config(mapping_of(values)).scheduler.kind == "uniform"


@pytest.mark.parametrize("typed", ["", "abc", "1.5", "1,000", "inf", "nan", "9" * 5000, "0x10"])
def test_text_that_is_no_whole_number_is_refused_and_never_replaced(typed: str) -> None:
    values = values_of(presets()[0].config) | {"training.steps": typed}
    with pytest.raises(ConfigError) as caught:
        parse_config(mapping_of(values))
    assert [problem.field for problem in caught.value.problems] == ["training.steps"]


def _has_its_fields(section: str, model: type[BaseModel], raw: dict[str, Any]) -> None:
    kind = kind_of(model)
    config = parse_config(raw | {section: raw.get(section, {}) | {"kind": kind}})
    values = values_of(config)
    assert values[section] == kind
    keys = set(keys_in(form_of(model, f"{section}.{kind}")))
    assert keys <= values.keys()
    assert parse_config(mapping_of(values)) == config
