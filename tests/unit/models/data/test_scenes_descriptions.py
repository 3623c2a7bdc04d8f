"""The task with answers of several words; only its format is tested, no model answers it."""

from collections import Counter
from itertools import combinations
from random import Random

import pytest

from rankscope.models.data import Scenes
from rankscope.models.data.parts import Splits, VqaPart
from rankscope.models.data.scenes_descriptions import DESCRIBING_ASKERS, MAX_ANSWER_WORDS
from rankscope.models.data.scenes_drawing import SHAPES, Scene, Thing
from rankscope.models.data.scenes_questions import PLACES

# small red circle    .                   large blue ring
# .                   .                   .
# large red circle    small gray square   small red ring
SCENE = (
    Thing("gray", "square", 7, 0.33),
    Thing("red", "circle", 6, 0.44),
    Thing("red", "circle", 0, 0.33),
    Thing("blue", "ring", 2, 0.44),
    Thing("red", "ring", 8, 0.33),
)


def asked_about(scene: Scene) -> set[tuple[str, str]]:
    return {
        (question.text, question.answer)
        for asker in DESCRIBING_ASKERS
        for seed in range(300)
        if (question := asker(scene, Random(seed)))
    }


@pytest.fixture(scope="module")
def splits() -> Splits[VqaPart]:
    return Scenes(task="descriptions").load(48)


def test_no_part_shares_a_picture_with_another(splits: Splits[VqaPart]) -> None:
    parts = (splits.train, splits.probe, splits.validation, splits.test)
    pictures = [{image.tobytes() for image in part.images_NHWC} for part in parts]
    assert [len(own) for own in pictures] == [len(part.images_NHWC) for part in parts]
    assert all(one.isdisjoint(other) for one, other in combinations(pictures, 2))


def test_answers_are_two_to_five_words(splits: Splits[VqaPart]) -> None:
    lengths = Counter(
        len(answer.split()) for part in (splits.train, splits.test) for answer in part.answers
    )
    assert set(lengths) == set(range(2, MAX_ANSWER_WORDS + 1))


def test_a_test_of_two_thousand_questions_is_not_answered_without_the_picture(
    splits: Splits[VqaPart],
) -> None:
    usual = splits.question_only_answers(splits.test.questions)
    assert len(usual) >= 2000
    assert sum(a == b for a, b in zip(usual, splits.test.answers, strict=True)) < 0.05 * len(usual)


def test_several_things_are_named_as_one_reads() -> None:
    assert asked_about(SCENE) == {
        ("what is northwest", "small red circle"),
        ("what is northeast", "large blue ring"),
        ("what is southwest", "large red circle"),
        ("what is south", "small gray square"),
        ("what is southeast", "small red ring"),
        # Nearest first, over empty cells; a thing whose name is not unique is no landmark.
        ("what is left of the blue", "small red circle"),
        ("what is left of the blue ring", "small red circle"),
        ("what is below the blue", "small red ring"),
        ("what is below the blue ring", "small red ring"),
        ("what is left of the gray", "large red circle"),
        ("what is left of the square", "large red circle"),
        ("what is left of the gray square", "large red circle"),
        ("what is right of the gray", "small red ring"),
        ("what is right of the square", "small red ring"),
        ("what is right of the gray square", "small red ring"),
        ("what is above the red ring", "large blue ring"),
        ("what is left of the red ring", "small gray square"),
        # The bottommost row holds three things, the middle row none.
        ("what is in the topmost row", "red circle and blue ring"),
        ("what is in the leftmost column", "red circle and red circle"),
        ("what is in the middle column", "gray square"),
        ("what is in the rightmost column", "blue ring and red ring"),
        ("what colors are the circles", "red red"),
        ("what colors are the rings", "blue red"),
        ("what shapes are red", "circle circle ring"),
        ("where are the circles", "northwest southwest"),
        ("where are the rings", "northeast southeast"),
    }


def test_a_lone_thing_has_no_neighbor_and_no_company() -> None:
    assert asked_about((Thing("red", "ring", 4, 0.44),)) == {
        ("what is center", "large red ring"),
        ("what is in the middle row", "red ring"),
        ("what is in the middle column", "red ring"),
    }


def test_six_things_alike_are_too_many_to_list() -> None:
    scene = tuple(Thing("red", SHAPES[0], cell, 0.44) for cell in range(6))
    asked = {text for text, _ in asked_about(scene)}
    assert not any(text.startswith(("what colors", "what shapes", "where")) for text in asked)
    assert "what is in the middle row" not in asked
    assert {f"what is {place}" for place in PLACES[:6]} <= asked
