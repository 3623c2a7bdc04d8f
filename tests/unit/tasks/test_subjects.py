"""The same model is asked, whether as a run's checkpoint or as the adapter exported from it."""

import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from sqlalchemy import Engine

from rankscope.models.config import RunConfig
from rankscope.models.data.dialogue import Example, Picture, Pixels, Turn
from rankscope.models.evaluation import AdapterSubject, BaseSubject, RunSubject
from rankscope.models.reading import parse_config
from rankscope.models.vlms import EmbeddedVlm
from rankscope.storage.artifacts import RunFolder, record_artifact
from rankscope.storage.benchmark_answers import read_answers
from rankscope.storage.database import migrate, open_database
from rankscope.storage.ending import fail_run
from rankscope.storage.evaluations import begin_evaluation, get_evaluation
from rankscope.storage.runs import create_run
from rankscope.storage.settings import Settings
from rankscope.tasks.build import adapted
from rankscope.tasks.checkpoints import (
    CHECKPOINTS,
    CheckpointState,
    trained_tensors,
    write_checkpoint,
)
from rankscope.tasks.evaluating import add_evaluation, wish_of
from rankscope.tasks.evaluator import evaluate
from rankscope.tasks.generation import generate_answers
from rankscope.tasks.subjects import Asked, load_subject
from tests.helpers.pope_files import write_pope

QUESTIONS = ("is there red in the image", "what color is the circle", "how many shapes are there")
CONFIG = parse_config({"data": {"kind": "scenes", "task": "answers"}})


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(rankscope_home=tmp_path, database_url=f"sqlite:///{tmp_path}/rankscope.db")


@pytest.fixture
def engine(settings: Settings) -> Iterator[Engine]:
    opened = open_database(settings.database_url)
    migrate(opened)
    yield opened
    opened.dispose()


def record_run(engine: Engine, settings: Settings, config: RunConfig) -> str:
    """A run with one checkpoint, of step 12, and its adapter in ``models/mine``."""
    run_id = create_run(engine, config, origin="queue", owner="ada")
    _, tuning = adapted(config, settings.roots)
    torch.manual_seed(0)
    with torch.no_grad():
        for name, parameter in tuning.model.named_parameters():
            if ".lora_B." in name:
                parameter.normal_(std=0.3)
    state = CheckpointState(
        config_hash=config.hash(),
        step=12,
        ranks=tuning.ranks(),
        num_threads=1,
        lr_factors={},
        last_epoch=0,
        memory={},
        saliency={},
        train_loss=None,
        num_samples=0,
        python_random=[],
        numpy_random={},
    )
    path = f"{CHECKPOINTS}/step-000000012"
    folder = RunFolder(settings, run_id).inside(path)
    size = write_checkpoint(folder, state, trained_tensors(tuning), {})
    record_artifact(engine, run_id, kind="checkpoint", path=path, step=12, size_bytes=size)
    fail_run(engine, run_id, "ended")
    tuning.export(settings.roots.models / "mine", base_model_name="embedded")
    return run_id


def answers(asked: Asked) -> list[str]:
    image_HWC = np.zeros((48, 48, 3), np.uint8)
    image_HWC[8:30, 8:30] = (220, 20, 20)
    examples = [
        Example(
            str(number),
            number + 1,
            (Picture("drawn", Pixels(image_HWC)),),
            (Turn("user", f"<image>\n{question}"), Turn("assistant", "-")),
        )
        for number, question in enumerate(QUESTIONS)
    ]
    assert not asked.model.training
    return generate_answers(asked.model, asked.vlm, examples, max_new_tokens=8)


def test_a_run_and_its_exported_adapter_answer_alike_and_unlike_the_base(
    engine: Engine, settings: Settings
) -> None:
    run_id = record_run(engine, settings, CONFIG)
    of_run = load_subject(engine, settings, RunSubject(run_id=run_id, step=12))
    adapter = AdapterSubject(folder="mine", model=EmbeddedVlm())
    of_adapter = load_subject(engine, settings, adapter)
    of_base = load_subject(engine, settings, BaseSubject(model=EmbeddedVlm()))
    assert answers(of_run) == answers(of_adapter)
    assert answers(of_run) != answers(of_base)


@pytest.fixture
def _own_signals() -> Iterator[None]:
    """An evaluating process answers signals, which this one should not do for good."""
    kept = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in kept.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("_own_signals")
def test_a_run_is_evaluated_from_its_last_checkpoint_and_refuses_changed_files(
    engine: Engine, settings: Settings, tmp_path: Path
) -> None:
    write_pope(tmp_path / "data" / "pope", 3, end="")
    run_id = record_run(engine, settings, CONFIG)
    wish = wish_of({"run": run_id[:9], "suite": "pope", "folder": "pope", "batch_size": 4})
    first, second = (
        add_evaluation(engine, settings, wish, origin="foreground", owner="ada") for _ in range(2)
    )
    asked = get_evaluation(engine, first)
    assert (asked.run_id, asked.num_items) == (run_id, 9)
    assert asked.parsed().subject == RunSubject(run_id=run_id, step=12)
    number = begin_evaluation(engine, first, lease_s=60)
    assert evaluate(engine, settings, first, number, lease_s=60) == "done"
    assert {answer.score for answer in read_answers(engine, first)} <= {0.0, 1.0}
    done = get_evaluation(engine, first)
    assert (done.num_answered, done.score is not None) == (9, True)
    label = tmp_path / "data" / "pope" / "coco" / "coco_pope_random.json"
    label.write_text(label.read_text().replace('"yes"', '"no"'))
    number = begin_evaluation(engine, second, lease_s=60)
    assert evaluate(engine, settings, second, number, lease_s=60) == "failed"
    reason = get_evaluation(engine, second).status_reason
    assert "questions or right answers have changed; put them back" in reason


def test_a_checkpoint_that_is_gone_is_told_with_its_step(
    engine: Engine, settings: Settings
) -> None:
    run_id = create_run(engine, CONFIG, origin="queue", owner="ada")
    with pytest.raises(ValueError, match=f"the checkpoint of step 12 of run {run_id} must be in"):
        load_subject(engine, settings, RunSubject(run_id=run_id, step=12))


def test_an_adapter_of_another_base_is_refused_before_it_is_loaded(
    engine: Engine, settings: Settings
) -> None:
    record_run(engine, settings, CONFIG)
    folder = settings.roots.models / "mine"
    tensors = folder / "adapter_model.safetensors"
    tensors.write_bytes(tensors.read_bytes().replace(b"layers.0.", b"layers.9."))
    with pytest.raises(ValueError, match=r"layers\.9\..*which this one does not have"):
        load_subject(engine, settings, AdapterSubject(folder="mine", model=EmbeddedVlm()))
