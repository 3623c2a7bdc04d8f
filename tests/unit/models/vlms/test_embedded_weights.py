"""The shipped weights do what their model card says."""

import json
from functools import cache

import numpy as np
import pytest
import torch

from rankscope.models.data import EasyVqa, Scenes
from rankscope.models.data.scenes_tasks import TASKS
from rankscope.models.lora.inventory import list_linears
from rankscope.models.vlms.embedded.pretrain import REPORT_FILE, Recipe, held_out_accuracy
from rankscope.models.vlms.embedded.processing import (
    MAX_ANSWER_TOKENS,
    generate_answers,
    load_embedded,
    weights_dir,
)
from rankscope.models.vlms.linears import embedded_linears
from tests.helpers.asking import asked

FLOORS = {"color": 0.95, "shape": 0.95, "position": 0.75, "counting": 0.70}


def test_the_report_meets_the_promised_accuracies() -> None:
    report = json.loads((weights_dir() / REPORT_FILE).read_text())
    assert all(report["held_out_accuracy"][skill] >= floor for skill, floor in FLOORS.items())
    assert report["wall_s"] <= 15 * 60
    assert 1_000_000 <= report["parameters"] <= 1_500_000


def test_the_weights_file_is_at_most_6_megabytes() -> None:
    assert (weights_dir() / "model.safetensors").stat().st_size <= 6_000_000


def test_the_shipped_weights_answer_as_reported() -> None:
    torch.set_num_threads(1)
    model, processor = load_embedded()
    report = json.loads((weights_dir() / REPORT_FILE).read_text())
    measured = held_out_accuracy(model, processor, Recipe(held_out_items_per_skill=100))
    for skill in FLOORS:
        # About 100 items per skill: five standard errors around what many items gave.
        assert measured[skill] == pytest.approx(report["held_out_accuracy"][skill], abs=0.2)


DATASETS = (EasyVqa(), *(Scenes(task=task) for task in TASKS))


@cache
def texts_of(dataset: EasyVqa | Scenes) -> tuple[set[str], set[str]]:
    """All questions and all answers."""
    splits = dataset.load(3)
    parts = (splits.train, splits.probe, splits.validation, splits.test)
    questions = {question for part in parts for question in part.questions}
    return questions, {answer for part in parts for answer in part.answers}


@pytest.mark.parametrize("dataset", DATASETS)
def test_the_tokenizer_knows_every_word_of_every_built_in_data_set(
    dataset: EasyVqa | Scenes,
) -> None:
    _, processor = load_embedded()
    texts = sorted(set.union(*texts_of(dataset)))
    blank = np.zeros((len(texts), 48, 48, 3), dtype=np.uint8)
    assert len(processor.prompt_batch(asked(blank, texts))["input_ids"]) == len(texts)


@pytest.mark.parametrize("dataset", DATASETS)
def test_every_built_in_answer_and_its_end_can_be_generated(dataset: EasyVqa | Scenes) -> None:
    _, answers = texts_of(dataset)
    assert max(len(answer.split()) for answer in answers) + 1 <= MAX_ANSWER_TOKENS


@pytest.mark.parametrize("task", ["answers", "hues", "skills"])
def test_more_tokens_to_generate_change_no_answer_of_fewer(task: str) -> None:
    """Three tokens were generated when the longest answers had two words."""
    model, processor = load_embedded()
    part = Scenes.model_validate({"kind": "scenes", "task": task}).sample(48, 48)
    examples = part.examples(range(len(part)))
    long = generate_answers(model, processor, examples)
    processor.max_answer_tokens = 3
    short = generate_answers(model, processor, examples)
    assert [" ".join(answer.split()[:3]) for answer in long] == short


def test_the_shipped_list_of_linears_is_the_models_own() -> None:
    model, _ = load_embedded()
    assert embedded_linears().model_copy(update={"sizes": None}) == list_linears(model)
