"""Parts and splits of a data set."""

import numpy as np
import pytest

from rankscope.models.data.dialogue import Example, Picture, Turn
from rankscope.models.data.parts import DialoguePart, Splits, VqaPart


def part(questions: str, answers: str, image_ids: list[int]) -> VqaPart:
    """One item per letter, about pictures that are filled with their own number."""
    images = np.arange(max(image_ids) + 1, dtype=np.uint8)[:, None, None, None]
    return VqaPart(
        images_NHWC=np.broadcast_to(images, (len(images), 2, 2, 3)).copy(),
        image_ids_I=np.array(image_ids),
        questions=tuple(questions),
        answers=tuple(answers),
        skills=("skill",) * len(questions),
    )


def test_a_subset_keeps_the_given_order_and_each_items_own_picture() -> None:
    chosen = part("abcd", "wxyz", [0, 0, 1, 2]).subset([3, 1])
    assert (chosen.questions, chosen.answers) == (("d", "b"), ("z", "x"))
    assert chosen.images_of([0, 1])[:, 0, 0, 0].tolist() == [2, 0]


def test_the_head_of_a_short_part_is_the_whole_part() -> None:
    assert len(part("ab", "xy", [0, 1]).head(5)) == 2
    assert part("ab", "xy", [0, 1]).head(1).questions == ("a",)


@pytest.mark.parametrize("seed", range(20))
def test_every_item_gets_another_picture_when_pictures_are_shuffled(seed: int) -> None:
    whole = part("abcdef", "uvwxyz", [0, 0, 1, 3, 3, 2])
    shuffled = whole.shuffled_images(seed)
    assert (shuffled.image_ids_I != whole.image_ids_I).all()
    assert shuffled.questions == whole.questions


def test_shuffling_uses_only_pictures_of_the_part() -> None:
    chosen = part("abcd", "wxyz", [0, 1, 2, 3]).subset([1, 3])
    assert chosen.shuffled_images(0).image_ids_I.tolist() == [3, 1]


def test_one_picture_cannot_be_shuffled() -> None:
    with pytest.raises(ValueError, match="at least 2 pictures in use, got 1"):
        part("ab", "xy", [0, 0]).shuffled_images(0)


def test_items_of_unequal_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match=r"one length, got lengths \[1, 2\]"):
        VqaPart(np.zeros((1, 2, 2, 3), np.uint8), np.array([0, 0]), ("a",), ("x", "y"), ("s", "s"))


def test_without_a_picture_each_question_gets_its_most_frequent_answer() -> None:
    """Outside test, a: x x y, b: y, c: y, so a is answered x, b and c y, and the unknown d x."""
    splits = Splits(
        train=part("aaa", "xyx", [0, 1, 2]),
        probe=part("b", "y", [0]),
        validation=part("c", "y", [0]),
        test=part("aabd", "xyyx", [0, 1, 2, 3]),
    )
    assert splits.question_only_answers(["a", "b", "c", "d"]) == ("x", "y", "y", "x")


def test_an_item_is_a_dialogue_of_two_turns_about_its_picture() -> None:
    first, second = part("abc", "xyz", [0, 2, 1]).examples([1, 0])
    assert [turn.text for turn in first.turns] == ["<image>\nb", "y"]
    assert np.asarray(first.pictures[0].open())[0, 0].tolist() == [2, 2, 2]
    assert (second.key, second.row) == ("0", 1)


def dialogues(*picture_names: str) -> DialoguePart:
    """Each asks "what is it" of nobody first and then about its own picture."""
    earlier = (Turn("user", "are you there"), Turn("assistant", "yes"))
    examples = tuple(
        Example(
            key=f"{row}",
            row=row,
            pictures=(Picture(name, name.encode()),),
            turns=(*earlier, Turn("user", "<image>\nwhat is it"), Turn("assistant", f"a {name}")),
        )
        for row, name in enumerate(picture_names, 1)
    )
    return DialoguePart.of(examples, ("",) * len(examples))


def test_of_a_dialogue_the_last_question_and_answer_count() -> None:
    own = dialogues("cat", "dog", "cat")
    assert own.questions == ("what is it",) * 3
    assert own.answers == ("a cat", "a dog", "a cat")
    assert own.num_pictures == 2
    assert [example.key for example in own.examples([2, 0])] == ["3", "1"]
    assert own.head(1).answers == ("a cat",)


@pytest.mark.parametrize("seed", range(5))
def test_every_dialogue_gets_another_picture_when_pictures_are_shuffled(seed: int) -> None:
    own = dialogues("cat", "dog", "cow", "cat")
    shuffled = own.shuffled_images(seed)
    assert shuffled.answers == own.answers
    for before, after in zip(own.dialogues, shuffled.dialogues, strict=True):
        assert before.pictures != after.pictures
    assert shuffled.dialogues[0].pictures == shuffled.dialogues[3].pictures


def test_dialogues_about_one_picture_cannot_be_shuffled() -> None:
    with pytest.raises(ValueError, match="at least 2 pictures in use, got 1"):
        dialogues("cat", "cat").shuffled_images(0)
