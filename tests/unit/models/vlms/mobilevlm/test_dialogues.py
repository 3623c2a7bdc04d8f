"""Prompts to the letter, and what of them is learned."""

import pytest

from rankscope.models.data.dialogue import Role, Turn
from rankscope.models.vlms.mobilevlm.dialogues import Piece, prompt_pieces, training_pieces

SYSTEM = (
    "A chat between a curious user and an artificial intelligence assistant. The assistant gives "
    "helpful, detailed, and polite answers to the user's questions. "
)


Said = tuple[Role, str]


def turns_of(*said: Said) -> list[Turn]:
    return [Turn(role, words) for role, words in said]


def text(pieces: list[Piece]) -> str:
    return "".join(piece.text for piece in pieces)


def scored(pieces: list[Piece]) -> list[str]:
    return [piece.text for piece in pieces if piece.is_scored]


def test_a_prompt_is_the_one_of_the_benchmarks_protocol() -> None:
    pieces = prompt_pieces("v1", turns_of(("user", "<image>\nWhat is it?")))
    assert text(pieces) == f"{SYSTEM}USER: <image>\nWhat is it? ASSISTANT:"
    assert scored(pieces) == []


def test_every_answer_is_scored_with_its_end() -> None:
    turns = turns_of(("user", "One?"), ("assistant", "1"), ("user", "Two?"), ("assistant", "2"))
    pieces = training_pieces("v1", turns)
    assert text(pieces) == f"{SYSTEM}USER: One? ASSISTANT: 1</s>USER: Two? ASSISTANT: 2</s>"
    assert scored(pieces) == [" 1</s>", " 2</s>"]


def test_a_prompt_goes_on_where_training_left_off() -> None:
    turns = turns_of(("user", "One?"), ("assistant", "1"), ("user", "Two?"), ("assistant", "2"))
    whole, asked = training_pieces("v1", turns), prompt_pieces("v1", turns[:-1])
    assert text(whole) == f"{text(asked)} 2</s>"


def test_the_picture_comes_before_the_words() -> None:
    turns = turns_of(("user", " What is it? <image> "), ("assistant", "A cat"))
    assert "USER: <image>\nWhat is it? ASSISTANT: A cat" in text(training_pieces("v1", turns))
    assert "USER: <image> ASSISTANT:" in text(prompt_pieces("v1", turns_of(("user", "<image>\n"))))
    two = text(prompt_pieces("v1", turns_of(("user", "<image> and <image>: alike?"))))
    assert "USER: <image>\n<image>\nand : alike? ASSISTANT:" in two


def test_a_system_turn_takes_the_place_of_the_usual_one() -> None:
    pieces = prompt_pieces("v1", turns_of(("system", "Be brief."), ("user", "Well?")))
    assert text(pieces) == "Be brief. USER: Well? ASSISTANT:"


def test_plain_is_a_picture_and_its_caption_whatever_was_asked() -> None:
    turns = turns_of(("user", "Describe it.\n<image>"), ("assistant", "A cat"))
    pieces = training_pieces("plain", turns)
    assert (text(pieces), scored(pieces)) == ("<image>A cat\n", ["A cat\n"])
    assert text(prompt_pieces("plain", turns[:1])) == "<image>"


@pytest.mark.parametrize(
    "turns",
    [
        [],
        [("system", "Be brief.")],
        [("assistant", "Hello")],
        [("user", "One?")],
        [("user", "One?"), ("user", "Two?"), ("assistant", "2")],
        [("user", "One?"), ("tool", "1"), ("assistant", "1")],
        [("user", "One?"), ("system", "Be brief."), ("assistant", "1")],
    ],
)
def test_another_order_of_turns_is_refused(turns: list[Said]) -> None:
    with pytest.raises(ValueError, match=r"the user first, the assistant last, got .*; join, drop"):
        training_pieces("v1", turns_of(*turns))


def test_a_prompt_ends_with_the_user() -> None:
    with pytest.raises(ValueError, match="the user last, got user, assistant;"):
        prompt_pieces("v1", turns_of(("user", "One?"), ("assistant", "1")))


@pytest.mark.parametrize(
    "turns",
    [
        [("user", "No picture"), ("assistant", "A cat")],
        [("user", "<image><image>"), ("assistant", "Cats")],
        [("user", "<image>"), ("assistant", "1"), ("user", "<image>"), ("assistant", "2")],
    ],
)
def test_plain_knows_nothing_but_a_caption(turns: list[Said]) -> None:
    with pytest.raises(ValueError, match=r"one <image> and its caption, got .* template 'v1'"):
        training_pieces("plain", turns_of(*turns))
