"""``rankscope data``: a data set as a model would see it."""

import json
import re
from pathlib import Path

import pytest

from tests.unit.app.conftest import Call


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RANKSCOPE_HOME", str(tmp_path))
    (tmp_path / "data").mkdir()
    return tmp_path


def test_rows_lengths_and_mask_are_printed_without_colour(home: Path, call: Call) -> None:
    config = home / "run.yaml"
    config.write_text("data: {kind: scenes, train_items: 64}")
    code, said, complained = call("data", str(config), "--rows", "1")
    assert (code, complained) == (0, "")
    assert re.search(r"tokens of the first \d+ rows, pictures included", said)
    assert "the loss looks at what stands in ⟦ ⟧" in said
    assert "<image> × 9" in said
    assert said.rstrip().endswith("</s>⟧")


def test_a_file_is_named_by_its_path_below_the_data_root(home: Path, call: Call) -> None:
    (home / "data" / "own.jsonl").write_text(json.dumps({"question": "a", "answer": "b"}) + "\n{")
    code, said, _ = call("data", "own.jsonl", "--json")
    answer = json.loads(said.splitlines()[-1])
    assert code == 0
    assert (answer["report"]["num_good"], answer["report"]["num_broken"]) == (1, 1)


def test_data_that_are_not_there_are_refused(home: Path, call: Call) -> None:
    del home
    code, _, complained = call("data", "../own.jsonl")
    assert code == 2
    assert "must be relative to the data root and stay below it" in complained
