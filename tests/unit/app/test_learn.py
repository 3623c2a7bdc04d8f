"""``rankscope learn`` on recorded runs whose ranks' worth is known."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from rankscope.models.reading import parse_config
from rankscope.models.schedulers.offline.model import OfflineModel
from rankscope.storage.database import migrate, open_database
from rankscope.storage.settings import Settings
from rankscope.tasks.client import inventory_of
from tests.helpers.learnable import TASKS, config_of, record_done, record_learnable

Call = Callable[..., tuple[int, str, str]]
AnswerOf = Callable[..., Any]


@pytest.fixture(scope="session")
def learnable_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """12 random allocations of each of three families, and one run of a scheduler of its own."""
    home = tmp_path_factory.mktemp("learnable")
    engine = open_database(Settings(rankscope_home=home).database_url)
    migrate(engine)
    record_learnable(engine)
    itself = config_of(TASKS[0], scheduler={"kind": "adalora"})
    inventory = inventory_of(parse_config(itself))
    ranks = {module.name: 1 for module in inventory.modules}
    record_done(engine, itself, inventory, [(0, ranks)], 0.5)
    engine.dispose()
    return home


@pytest.fixture
def learnable(learnable_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANKSCOPE_HOME", str(learnable_home))
    monkeypatch.delenv("DATABASE_URL", raising=False)


def test_it_learns_from_the_runs_there_are_and_says_what_came_of_it(
    learnable: None, call: Call, answer_of: AnswerOf
) -> None:
    del learnable
    code, said, complained = call("learn", "--name", "mine")
    assert (code, complained) == (0, "")
    assert "mine: learned from 36 of 37 runs" in said
    assert "left out 1: its scheduler adalora trains by itself" in said
    assert all(family in said for family in ("easy-vqa", "look", "words"))
    assert "stored: database" in said
    (stored,) = [
        one for one in answer_of("learn", "--list", "--json")["models"] if one["name"] == "mine"
    ]
    assert (stored["where"], stored["num_runs"]) == ("database", 36)
    assert stored["families"] == ["easy-vqa", "look", "words"]


def test_json_holds_the_validation_and_each_run_left_out(
    learnable: None, answer_of: AnswerOf
) -> None:
    del learnable
    answer = answer_of("learn", "--json")
    assert answer["name"] == answer["architecture"]
    assert [one["family"] for one in answer["validation"]["families"]] == answer["families"]
    assert answer["usefulness"] == answer["validation"]["pooled"]["spearman"]
    assert answer["is_useful"] == (answer["validation"]["gain"]["low"] > 0)
    assert list(answer["left_out"].values()) == ["its scheduler adalora trains by itself"]


def test_a_family_that_is_left_out_is_not_learned_from(
    learnable: None, answer_of: AnswerOf, tmp_path: Path
) -> None:
    del learnable
    file = tmp_path / "model.json"
    answer = answer_of("learn", "--without-family", "look", "--out", str(file), "--json")
    assert answer["families"] == ["easy-vqa", "words"]
    assert answer["name"].endswith("-without-look")
    assert answer["where"] == str(file)
    assert len(answer["left_out"]) == 13
    written = OfflineModel.model_validate_json(file.read_text(encoding="utf-8"))
    assert (written.name, written.sha256) == (answer["name"], answer["sha256"])
    listed = answer_of("learn", "--list", "--json")["models"]
    assert answer["name"] not in [one["name"] for one in listed]


def test_the_architecture_can_be_that_of_a_config(
    learnable: None, call: Call, answer_of: AnswerOf, tmp_path: Path
) -> None:
    del learnable
    file = tmp_path / "run.yaml"
    file.write_text(yaml.safe_dump(config_of(TASKS[0])), encoding="utf-8")
    assert answer_of("learn", "--architecture-of", str(file), "--json")["num_runs"] == 36
    both = config_of(TASKS[0], lora={"parts": ["language", "vision"]})
    file.write_text(yaml.safe_dump(both), encoding="utf-8")
    code, _, complained = call("learn", "--architecture-of", str(file))
    assert code == 2
    assert "needs runs of the architecture asked for, there are none of" in complained


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--without-family", "looks"], "got 'looks'; there are: easy-vqa, look, words"),
        (["--name", "auto"], "--name must not be 'auto'"),
        (["--name", "a name"], "--name must be of at most 100 letters"),
        (["--out", "/no/such/folder/x.json"], "--out must be a file that can be written"),
        (
            ["--without-family", "look", "--without-family", "words"],
            "needs at least 20 runs",
        ),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_line(
    learnable: None, call: Call, options: list[str], words: str
) -> None:
    del learnable
    code, said, complained = call("learn", *options)
    assert (code, said) == (2, "")
    assert words in " ".join(complained.split())
    assert complained.count("\n") == 1


def test_a_database_without_runs_has_nothing_to_teach(empty_home: None, call: Call) -> None:
    del empty_home
    code, _, complained = call("learn")
    assert code == 2
    assert "learning needs recorded runs that are done, the database has none" in complained


def test_a_run_may_begin_with_a_learned_model_and_an_unknown_one_is_refused(
    learnable: None, call: Call, tmp_path: Path
) -> None:
    del learnable
    assert call("learn", "--name", "known")[0] == 0
    file = tmp_path / "run.yaml"
    file.write_text(yaml.safe_dump(config_of(TASKS[0])), encoding="utf-8")

    def plan(name: str) -> tuple[int, str, str]:
        settings = ("--set", "scheduler.kind=hydra", "--set", f"scheduler.offline={name}")
        return call("plan", str(file), *settings, "--json")

    code, said, _ = plan("known")
    assert code == 0
    assert json.loads(said.splitlines()[-1])["scheduler"] == "hydra"
    code, _, complained = plan("unknown")
    assert code == 2
    assert "name of an offline model, got 'unknown'; there are:" in complained
    assert "known" in complained.partition("there are:")[2]
