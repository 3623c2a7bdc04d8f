"""Textures on things, and the task that asks for them."""

from itertools import combinations
from random import Random

import numpy as np
import pytest

from rankscope.models.data import Scenes
from rankscope.models.data.arrays import UInt8Array
from rankscope.models.data.parts import Splits, VqaPart
from rankscope.models.data.scenes_drawing import COLORS, PAPER, Thing, draw
from rankscope.models.data.scenes_questions import LARGE_RADII
from rankscope.models.data.scenes_texture_questions import (
    SOLID_SHAPES,
    TEXTURE_ASKERS,
    ask_texture_existence,
    sample_textured_scene,
)
from rankscope.models.data.scenes_textures import PLAIN, TEXTURES

# red circle of rows  .  half blue square
# .                   .  .
# plain red circle    .  .
SCENE = (
    Thing("red", "circle", 0, 0.44, "row"),
    Thing("blue", "square", 2, 0.44, "half"),
    Thing("red", "circle", 6, 0.44, "even"),
)


def cell_of(thing: Thing, seed: int) -> UInt8Array:
    """A 16-pixel cell with the thing in it."""
    picture: UInt8Array = draw([(thing,)], PAPER, 16, cells_per_side=1, seed=seed)[0]
    return picture


@pytest.fixture(scope="module")
def splits() -> Splits[VqaPart]:
    return Scenes(task="textures").load(48)


def test_no_part_shares_a_picture_with_another(splits: Splits[VqaPart]) -> None:
    parts = (splits.train, splits.probe, splits.validation, splits.test)
    pictures = [{image.tobytes() for image in part.images_NHWC} for part in parts]
    assert [len(own) for own in pictures] == [len(part.images_NHWC) for part in parts]
    assert all(one.isdisjoint(other) for one, other in combinations(pictures, 2))


def test_a_test_of_two_thousand_questions_mostly_asks_for_textures(splits: Splits[VqaPart]) -> None:
    assert len(splits.test) >= 2000
    num_texture = sum("texture" in skill for skill in splits.test.skills)
    assert 0.6 < num_texture / len(splits.test) < 0.8


def test_no_kind_of_question_is_answered_without_the_picture(splits: Splits[VqaPart]) -> None:
    """Whether something is there is half yes, half no; everything else is harder to guess."""
    usual = splits.question_only_answers(splits.test.questions)
    is_right = np.array([a == b for a, b in zip(usual, splits.test.answers, strict=True)])
    skills = np.array(splits.test.skills)
    assert is_right.mean() < 0.3
    for skill in set(splits.test.skills) - {"texture existence"}:
        assert is_right[skills == skill].mean() < 0.45


@pytest.mark.parametrize("color", COLORS)
@pytest.mark.parametrize("shape", SOLID_SHAPES)
def test_every_two_textures_differ_in_a_cell_of_16_pixels(shape: str, color: str) -> None:
    """In at least 10 pixels, by more than 50 of 255 in some channel, whichever tone is where."""
    pictures = {
        texture: [
            cell_of(Thing(color, shape, 0, LARGE_RADII[0], texture), seed).astype(int)
            for seed in range(8)
        ]
        for texture in TEXTURES
    }
    for one, other in combinations(TEXTURES, 2):
        for a, b in zip(pictures[one], pictures[other], strict=True):
            assert (np.abs(a - b).max(-1) > 50).sum() >= 10


def test_stripes_vary_across_and_bands_are_even_along_them() -> None:
    """A striped square varies down its middle as a square with columns does across."""
    for texture, across in (("row", 0), ("column", 1)):
        core = cell_of(Thing("black", "square", 0, 0.46, texture), 1)[4:12, 4:12].mean(-1)
        assert core.mean(1 - across).std() > 30
        assert core.mean(across).std() < 1e-3


def test_a_plain_thing_looks_the_same_beside_textured_ones() -> None:
    plain = (Thing("green", "square", 4, 0.44),)
    textured = (*plain, Thing("red", "circle", 0, 0.44, "row"))
    alone, beside = (draw([scene], PAPER, 48, 3, seed=2)[0] for scene in (plain, textured))
    middle = (slice(20, 28), slice(20, 28))
    assert np.ptp(alone[middle], axis=(0, 1)).max() == 0
    assert np.ptp(beside[middle], axis=(0, 1)).max() == 0


def test_textured_things_are_large_and_solid_and_have_every_texture() -> None:
    rng = Random(0)
    things = [thing for _ in range(300) for thing in sample_textured_scene(rng)]
    assert min(thing.radius for thing in things) >= LARGE_RADII[0]
    assert {thing.shape for thing in things} == set(SOLID_SHAPES)
    assert {thing.texture for thing in things} == set(TEXTURES)


def test_textures_are_asked_and_answered_from_the_scene() -> None:
    asked = {
        (question.text, question.answer)
        for asker in TEXTURE_ASKERS
        for seed in range(300)
        if (question := asker(SCENE, Random(seed)))
    }
    assert {
        ("how is northwest", "row"),
        ("how is southwest", PLAIN),
        ("how is the blue", "half"),
        ("how is the square", "half"),
        ("how is the blue square", "half"),
        ("how many are row", "one"),
        ("how many are block", "zero"),
        ("is there a half", "yes"),
        ("is there a column", "no"),
        ("is there a row circle", "yes"),
        ("is there a half circle", "no"),
        ("what color is northwest", "red"),
    } <= asked
    # Two red circles: neither their color nor their shape names one thing.
    assert not {"how is the red", "how is the circle"} & {text for text, _ in asked}


def test_existence_agrees_with_the_scene() -> None:
    rng = Random(0)
    for _ in range(300):
        scene = sample_textured_scene(rng)
        question = ask_texture_existence(scene, rng)
        words = set(question.text.removeprefix("is there a ").split())
        found = any(words <= {thing.texture, thing.shape} for thing in scene)
        assert question.answer == ("yes" if found else "no")
