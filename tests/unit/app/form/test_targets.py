"""What a pattern matches, and models whose files have to tell what they are made of."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from rankscope.app.door.identity import Person
from rankscope.app.form.launching import launch
from rankscope.app.form.preview import SEEDS_KEY, Filled, budget_texts, preview, read_form
from rankscope.app.form.targets import targets_shown
from rankscope.app.form.values import Value, mapping_of, values_of
from rankscope.models.presets import preset, presets
from rankscope.models.reading import parse_config
from rankscope.models.vlms.linears import known_linears
from rankscope.storage.database import migrate, open_database
from rankscope.storage.settings import Settings
from rankscope.tasks.client import Answers, ModelLists
from tests.helpers.tiny_vlms import save_qwen2_vl

ANSWERED_WITHIN_S = 250.0
UNKNOWN = [p.name for p in presets() if known_linears(p.config.model) is None]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Processes started here find their models below it, and no hub."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RANKSCOPE_HOME", str(home))
        patch.setenv("HF_HUB_OFFLINE", "1")
        patch.setenv("HF_HOME", str(home / "hub"))
        yield home


@pytest.fixture(scope="module")
def engine(home: Path) -> Iterator[Engine]:
    engine = open_database(f"sqlite:///{home}/rankscope.db")
    migrate(engine)
    yield engine
    engine.dispose()


@pytest.fixture(scope="module")
def lists(home: Path, engine: Engine) -> Iterator[ModelLists]:
    """All that tests below wait for is asked for at once, because a process takes seconds."""
    folder = home / "models" / "tiny" / "qwen"
    folder.mkdir(parents=True)
    save_qwen2_vl(folder)
    (home / "models" / "words").mkdir()
    (home / "models" / "words" / "config.json").write_text('{"model_type": "bert"}')
    answers = Answers()
    lists = ModelLists(engine, answers)
    for values in (*map(form, UNKNOWN), in_folder("tiny/qwen"), in_folder("words")):
        lists.ask(parse_config(mapping_of(values)).model)
    yield lists
    answers.close()


def form(name: str = "demo", **changes: Value) -> dict[str, Value]:
    """The form of a preset with changes; ``__`` in a name stands for a dot."""
    changed = {key.replace("__", "."): value for key, value in changes.items()}
    values = values_of(preset(name).config) | {SEEDS_KEY: "1"}
    assert changed.keys() <= values.keys()
    return values | changed


def in_folder(name: str) -> dict[str, Value]:
    """The recipe of T3-Agent with a model of the models root."""
    return form("t3_agent", model__hub__source=name, lora__rank_multiple="1")


def read_to_the_end(values: dict[str, Value], engine: Engine, lists: ModelLists) -> Filled:
    """The form once its model has been read."""
    deadline = time.monotonic() + ANSWERED_WITHIN_S
    while targets_shown(values, lists)["state"] == "reading":
        assert time.monotonic() < deadline
        assert read_form(values, engine, lists).is_waiting
        time.sleep(0.1)
    return read_form(values, engine, lists)


def test_modules_are_grouped_by_path_with_what_a_rank_of_them_costs(lists: ModelLists) -> None:
    shown = targets_shown(form(lora__targets="q_proj|down_proj"), lists)
    matched = {group["type"]: group for group in shown["groups"] if group["is_matched"]}
    assert set(matched) == {"q_proj", "down_proj"}
    queries = matched["q_proj"]
    assert queries["path"] == "language_model.model.layers.{layer}.self_attn.q_proj"
    assert (queries["layers"], queries["num_modules"]) == ("0–5", 6)
    assert queries["params_per_rank"] == 6 * (queries["d_in"] + queries["d_out"])
    assert shown["params_per_rank"] == sum(one["params_per_rank"] for one in matched.values())
    assert shown["num_matched"] == 12
    assert {group["part"] for group in shown["groups"]} == {"vision", "projector", "language"}


def test_a_part_that_gets_no_adapters_matches_nothing(lists: ModelLists) -> None:
    values = form(parts__vision="lora", parts__language="full", lora__targets=".*")
    shown = targets_shown(values, lists)
    assert {group["part"] for group in shown["groups"] if group["is_matched"]} == {"vision"}
    ways = {part["part"]: part["way"] for part in shown["parts"]}
    assert ways == {"vision": "lora", "projector": "frozen", "language": "full"}
    assert all(part["params"] > 0 for part in shown["parts"])


@pytest.mark.parametrize("pattern", ["(", "zzz", ""])
def test_a_pattern_that_matches_nothing_still_shows_what_there_is(
    lists: ModelLists, pattern: str
) -> None:
    shown = targets_shown(form(lora__targets=pattern), lists)
    assert shown["num_matched"] == 0
    assert shown["num_modules"] == 56


def test_a_model_is_read_only_once_somebody_asks(engine: Engine, lists: ModelLists) -> None:
    values = form(model="hub", model__hub__source="nobody/asked")
    assert targets_shown(values, lists) == {"state": "unread"}
    filled = read_form(values, engine, lists)
    assert (filled.config, filled.problems, filled.is_waiting) == (None, {}, True)
    settings = Settings(rankscope_home=Path("unused"))
    waiting: dict[str, Any] = {"problems": {}, "plan": None, "is_waiting": True}
    assert preview(engine, filled, settings) == waiting
    assert budget_texts(values, lists) == {}
    person = Person("ada", "operator")
    answer = launch(engine, settings, values, person=person, page="a", lists=lists)
    assert answer["runs"] == []
    assert "which is not read yet" in answer["message"]


def test_a_form_that_names_no_model_is_told_beside_the_field(
    engine: Engine, lists: ModelLists
) -> None:
    values = form(model="hub")
    assert targets_shown(values, lists) == {"state": "unnamed"}
    assert list(read_form(values, engine, lists).problems) == ["model.hub.source"]


@pytest.mark.parametrize("name", UNKNOWN)
def test_a_preset_whose_model_is_neither_here_nor_within_reach_says_what_is_needed(
    engine: Engine, lists: ModelLists, name: str
) -> None:
    values = form(name)
    filled = read_to_the_end(values, engine, lists)
    ((key, (message,)),) = filled.problems.items()
    assert key == "model.hub.source"
    assert f"hf download {values[key]}" in message
    assert targets_shown(values, lists)["state"] == "refused"


def test_a_preset_whose_model_lies_in_its_folder_is_drawn(
    engine: Engine, lists: ModelLists
) -> None:
    values = in_folder("tiny/qwen")
    filled = read_to_the_end(values, engine, lists)
    assert filled.problems == {}
    answer = preview(engine, filled, Settings())
    assert answer["plan"]["num_modules"] == 6  # q, k and v of two layers
    assert set(budget_texts(values, lists)) == {"params", "megabytes"}
    again = ModelLists(engine, Answers())  # another process remembers it by the database
    assert targets_shown(values, again)["num_matched"] == 6


def test_a_model_of_words_alone_is_refused_beside_the_field(
    engine: Engine, lists: ModelLists
) -> None:
    problems = read_to_the_end(in_folder("words"), engine, lists).problems
    assert "give a vision-language model" in problems["model.hub.source"][0]
