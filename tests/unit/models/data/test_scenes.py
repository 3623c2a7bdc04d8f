"""Drawn scenes and the questions about them."""

from itertools import combinations
from random import Random
from typing import get_args

import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError

from rankscope.models.data import AnyDataset, Scenes
from rankscope.models.data.scenes_drawing import COLORS, PAPER, SHAPES, Thing, draw
from rankscope.models.data.scenes_questions import (
    PRETRAINING_ASKERS,
    ask_count,
    ask_existence,
    ask_position,
    sample_scene,
)
from rankscope.models.data.scenes_tasks import (
    TASKS,
    ask_color_of_shape,
    ask_confirmation,
    ask_majority,
    ask_shape_of_color,
)

SMALL = Scenes(train_items=64, probe_items=32, validation_items=32, test_items=1000)

# red circle  .            blue ring
# .           .            .
# red circle  gray square  .
SCENE = (
    Thing("red", "circle", 0, 0.3),
    Thing("blue", "ring", 2, 0.43),
    Thing("red", "circle", 6, 0.3),
    Thing("gray", "square", 7, 0.43),
)


def small(task: str) -> Scenes:
    return Scenes.model_validate(SMALL.model_dump() | {"task": task})


@pytest.mark.parametrize("task", TASKS)
def test_equal_configurations_give_equal_data(task: str) -> None:
    first, second = small(task).load(48), small(task).load(48)
    np.testing.assert_array_equal(first.test.images_NHWC, second.test.images_NHWC)
    assert first.test.questions == second.test.questions
    assert first.test.answers == second.test.answers


@pytest.mark.parametrize("task", TASKS)
def test_parts_have_the_wanted_sizes_and_share_no_picture(task: str) -> None:
    splits = small(task).load(48)
    parts = (splits.train, splits.probe, splits.validation, splits.test)
    assert [len(part) for part in parts] == [64, 32, 32, 1000]
    pictures = [{image.tobytes() for image in part.images_NHWC} for part in parts]
    assert all(one.isdisjoint(other) for one, other in combinations(pictures, 2))


@pytest.mark.parametrize("task", [task for task in TASKS if task != "descriptions"])
def test_answers_are_one_or_two_words(task: str) -> None:
    assert {len(answer.split()) for answer in small(task).load(48).test.answers} <= {1, 2}


@pytest.mark.parametrize("task", TASKS)
def test_no_task_can_be_answered_without_the_picture(task: str) -> None:
    splits = small(task).load(48)
    usual = splits.question_only_answers(splits.test.questions)
    num_right = sum(a == b for a, b in zip(usual, splits.test.answers, strict=True))
    assert num_right / len(usual) < 0.45


def test_a_data_set_is_named_by_its_kind() -> None:
    adapter: TypeAdapter[AnyDataset] = TypeAdapter(AnyDataset)
    assert adapter.validate_python({"kind": "scenes", "task": "hues"}) == Scenes(task="hues")
    with pytest.raises(ValidationError, match="scenes"):
        adapter.validate_python({"kind": "landscapes"})


def test_every_task_can_be_chosen() -> None:
    assert get_args(Scenes.model_fields["task"].annotation) == tuple(TASKS)


def test_tasks_with_one_kind_of_shift_are_one_family() -> None:
    families = {task: small(task).family for task in TASKS}
    assert families == {
        "answers": "words",
        "hues": "look",
        "textures": "look",
        "skills": "questions",
        "descriptions": "descriptions",
    }
    assert Scenes(seed=7, train_items=64).family == Scenes().family


def test_a_test_part_below_1000_items_is_refused() -> None:
    with pytest.raises(ValidationError, match="greater than or equal to 1000"):
        Scenes(test_items=999)


@pytest.mark.parametrize("size_px", [48, 96])
def test_things_are_drawn_in_their_own_cell_in_their_own_color(size_px: int) -> None:
    (picture,) = draw([SCENE], PAPER, size_px, cells_per_side=3, seed=1)
    ground = picture[size_px // 2, size_px // 2].astype(int)
    cell_px = size_px // 3
    differs = (np.abs(picture.astype(int) - ground).sum(-1) > 60).astype(float)
    drawn = differs.reshape(3, cell_px, 3, cell_px).sum((1, 3)) > 0
    assert np.flatnonzero(drawn).tolist() == [thing.cell for thing in SCENE]
    gray = picture[2 * cell_px + cell_px // 2, cell_px + cell_px // 2].astype(int)
    assert np.abs(gray - PAPER.palette["gray"]).max() < 80


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_looks_different_from_every_other(shape: str) -> None:
    scenes = [(Thing("black", name, 0, 0.4),) for name in SHAPES]
    pictures = draw(scenes, PAPER, 48, cells_per_side=1, seed=0).astype(int).mean(-1) < 128
    own = pictures[SHAPES.index(shape)]
    differing = [(own != other).mean() for other in pictures]
    assert sum(difference < 0.02 for difference in differing) == 1


def test_cells_must_fill_the_picture() -> None:
    with pytest.raises(ValueError, match="image_size_px must be a multiple of 3, got 50; take 48"):
        draw([SCENE], PAPER, 50, cells_per_side=3, seed=0)


def test_counts_and_existence_agree_with_the_scene() -> None:
    rng = Random(0)
    for _ in range(200):
        scene = sample_scene(rng)
        count, exists = ask_count(scene, rng), ask_existence(scene, rng)
        names = exists.text.removeprefix("is there a ").split()
        found = any(set(names) <= {thing.color, thing.shape} for thing in scene)
        assert exists.answer == ("yes" if found else "no")
        word = count.text.split()[-1]
        if word in COLORS:
            number = sum(thing.color == word for thing in scene)
            assert count.answer == ("zero", "one", "two", "three", "four", "five", "six")[number]


def test_a_position_is_asked_only_of_a_thing_that_is_unique() -> None:
    asked = {ask_position(SCENE, Random(seed)) for seed in range(100)}
    assert {(question.text, question.answer) for question in asked if question} == {
        ("where is the blue ring", "northeast"),
        ("where is the blue", "northeast"),
        ("where is the ring", "northeast"),
        ("where is the gray square", "south"),
        ("where is the gray", "south"),
        ("where is the square", "south"),
    }
    assert all(ask_position((SCENE[0], SCENE[2]), Random(seed)) is None for seed in range(20))


def test_the_skills_of_the_transfer_task_are_answered_from_the_scene() -> None:
    asked = {
        (question.text, question.answer)
        for asker in (ask_color_of_shape, ask_shape_of_color, ask_majority, ask_confirmation)
        for seed in range(200)
        if (question := asker(SCENE, Random(seed)))
    }
    assert {
        ("what color is the ring", "blue"),
        ("what shape is gray", "square"),
        ("what color is most", "red"),
        ("is northeast blue", "yes"),
        ("is northeast gray", "no"),
    } <= asked
    # Two red circles: neither their color nor their shape names one thing.
    assert not {"what color is the circle", "what shape is red"} & {text for text, _ in asked}


def test_the_answers_task_rewords_every_answer_of_pretraining() -> None:
    rng = Random(0)
    task = TASKS["answers"]
    for _ in range(200):
        scene = sample_scene(rng)
        for asker in PRETRAINING_ASKERS:
            if question := asker(scene, rng):
                assert set(question.answer.split()).isdisjoint(task.reword(question.answer).split())


def test_samples_are_the_first_scenes_of_train_without_drawing_all_of_it() -> None:
    scenes = Scenes(train_items=64, probe_items=32, validation_items=32, test_items=1000)
    train = scenes.load(24).train
    few = scenes.sample(24, 5)
    assert few.questions == tuple(train.questions[i] for i in range(0, 10, 2))
    assert few.answers == tuple(train.answers[i] for i in range(0, 10, 2))
    assert len(few.images_of(range(5))) == 5
