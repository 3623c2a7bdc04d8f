"""``rankscope eval`` and ``evals``: what is refused before it is queued, and what is shown."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from tests.helpers.pope_files import write_pope
from tests.unit.app.past_runs import PastRuns

Call = Callable[..., tuple[int, str, str]]
Answer = Callable[..., dict[str, Any]]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """POPE's files, a model's settings, and an adapter of a model of another shape."""
    monkeypatch.setenv("RANKSCOPE_HOME", str(tmp_path))
    monkeypatch.delenv("DATABASE_URL", raising=False)
    # nobody listens at this port
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:9/0")
    write_pope(tmp_path / "data" / "pope", 3, end="")
    (tmp_path / "base.yaml").write_text("model: {kind: embedded}\n")
    adapter = tmp_path / "models" / "mine"
    adapter.mkdir(parents=True)
    told = {"peft_type": "LORA", "base_model_name_or_path": "embedded"}
    (adapter / "adapter_config.json").write_text(json.dumps(told))
    name = "base_model.model.model.layers.0.self_attn.q_proj"
    tensors = {
        f"{name}.lora_A.weight": torch.zeros(1, 5),
        f"{name}.lora_B.weight": torch.zeros(7, 1),
    }
    save_file(tensors, adapter / "adapter_model.safetensors")
    return tmp_path


def test_an_evaluation_is_queued_listed_stopped_and_resumed(
    home: Path, call: Call, answer_of: Answer
) -> None:
    code, said, complained = call(
        "eval", str(home / "base.yaml"), "--suite", "pope", "--files", "pope", "--json"
    )
    assert code == 0
    assert "no worker of queue default is alive" in complained
    row = json.loads(said.splitlines()[-1])
    expected = {"status": "queued", "num_items": 9, "num_answered": 0, "score": None}
    assert {name: row[name] for name in expected} == expected
    assert row["config"]["benchmark"]["image_dir"] == "pope/val2014"
    assert row["title"] == "base model embedded"
    assert [one["id"] for one in answer_of("evals", "--json")["evaluations"]] == [row["id"]]
    assert answer_of("evals", row["id"][:8], "--stop", "--json")["status"] == "stopped"
    assert answer_of("evals", row["id"], "--resume", "--json")["status"] == "queued"
    code, said, _ = call("evals", row["id"])
    assert (code, "pope of base model embedded, queued, 0 of 9 items" in said) == (0, True)
    code, said, _ = call("evals")
    assert (code, "base model embedded" in said) == (0, True)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["base.yaml", "--suite", "vqav2", "--files", "pope"], "a benchmark must be one of gqa"),
        (["base.yaml", "--suite", "pope", "--files", "../x"], "must lie below the data root"),
        (["base.yaml", "--suite", "pope", "--files", "/etc"], "must lie below the data root"),
        (["base.yaml", "--suite", "gqa", "--files", "pope"], "question_file must be llava_gqa"),
        (["base.yaml", "--suite", "pope"], "benchmark.question_file is required and missing"),
        (["none.yaml", "--suite", "pope", "--files", "pope"], "must be a readable file"),
        (["zzz", "--suite", "pope", "--files", "pope"], "must be the start of a run's id"),
        (["./none", "--suite", "pope", "--files", "pope"], "must lie below the models root"),
        (["mine", "--suite", "pope", "--files", "pope"], "which this one does not have"),
        (
            ["mine", "--suite", "pope", "--files", "pope", "--model", "hub.yaml"],
            "is of kind embedded, got hub",
        ),
        (["far.yaml", "--suite", "pope", "--files", "pope"], "must lie below the models root"),
    ],
)
def test_what_could_not_run_is_refused_before_it_is_queued(
    home: Path, call: Call, answer_of: Answer, arguments: list[str], words: str
) -> None:
    (home / "hub.yaml").write_text("kind: hub\nsource: owner/name\n")
    (home / "far.yaml").write_text("kind: hub\nsource: /etc\n")
    given = [str(home / word) if word.endswith(".yaml") else word for word in arguments]
    code, said, complained = call("eval", *given)
    assert (code, said) == (2, "")
    assert words in complained
    assert complained.count("\n") == 1
    assert answer_of("evals", "--json") == {"evaluations": []}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda pope: (pope / "val2014" / "green.jpg").unlink(), "must exist, got 'green.jpg'"),
        (
            lambda pope: (pope / "coco" / "coco_pope_random.json").write_text(""),
            "llava_pope_test.jsonl line 7: the question must have a label",
        ),
        (
            lambda pope: (pope / "llava_pope_test.jsonl").write_text('{"question_id": 1'),
            "llava_pope_test.jsonl line 1: must be JSON",
        ),
    ],
)
def test_files_that_are_broken_or_of_another_version_are_named_with_their_row(
    tmp_path: Path, home: Path, call: Call, change: Callable[[Path], object], words: str
) -> None:
    del home
    # enough questions that every colour has a picture asked about
    pope = tmp_path / "data" / "more"
    write_pope(pope, 7)
    if "line 7" in words:
        pope = tmp_path / "data" / "pope"
    change(pope)
    code, _, complained = call(
        "eval", str(tmp_path / "base.yaml"), "--suite", "pope", "--files", pope.name
    )
    assert code == 2
    assert words in complained


def test_a_run_without_a_checkpoint_is_refused(past_runs: PastRuns, call: Call) -> None:
    code, _, complained = call("eval", past_runs.uniform[0], "--suite", "pope", "--files", "pope")
    assert code == 2
    assert "a run needs a checkpoint to be evaluated" in complained
