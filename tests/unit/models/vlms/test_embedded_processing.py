"""Batches of the embedded model and its way back to words."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from rankscope.models.data.dialogue import Turn
from rankscope.models.vlms.embedded.processing import EmbeddedProcessor
from tests.helpers.asking import asked

PROCESSOR = EmbeddedProcessor.from_words(["what", "color", "is", "it", "red", "top", "left"])
PICTURES = np.zeros((2, 48, 48, 3), dtype=np.uint8)
PICTURES[1] = 255


def words(ids: torch.Tensor) -> list[str]:
    return [str(PROCESSOR.tokenizer.decode(token_id)) for token_id in ids.tolist()]


def test_a_training_batch_is_padded_right_and_scores_answers_and_their_end_only() -> None:
    batch = PROCESSOR.training_batch(
        asked(PICTURES, ["What color is it?", "is it red?"], ["red", "left"])
    )
    assert words(batch["input_ids"][0]) == ["<image>"] * 9 + [
        *("what", "color", "is", "it"),
        *("red", "</s>"),
    ]
    assert words(batch["input_ids"][1])[-3:] == ["left", "</s>", "<pad>"]
    assert batch["attention_mask"].tolist() == [[1] * 15, [1] * 14 + [0]]
    scored = batch["labels"] != -100
    assert words(batch["labels"][0][scored[0]]) == ["red", "</s>"]
    assert words(batch["labels"][1][scored[1]]) == ["left", "</s>"]


def test_a_dialogue_scores_every_answer() -> None:
    turns = [[("what color is it", "red"), ("is it", "top left")]]
    batch = PROCESSOR.dialogue_batch(PICTURES[:1], turns)
    scored = batch["labels"][0] != -100
    assert words(batch["input_ids"][0][scored]) == ["red", "</s>", "top", "left", "</s>"]
    assert words(batch["input_ids"][0][~scored]) == [
        *["<image>"] * 9,
        *("what", "color", "is", "it", "is", "it"),
    ]


def test_a_prompt_batch_is_padded_left() -> None:
    batch = PROCESSOR.prompt_batch(asked(PICTURES, ["what color is it", "is it red"]))
    assert words(batch["input_ids"][1])[:2] == ["<pad>", "<image>"]
    assert words(batch["input_ids"][1])[-1] == "red"
    assert batch["attention_mask"].tolist() == [[1] * 13, [0] + [1] * 12]


def test_pictures_become_channels_first_between_minus_one_and_one() -> None:
    pixels = PROCESSOR.prompt_batch(asked(PICTURES, ["is it", "is it"]))["pixel_values"]
    assert pixels.shape == (2, 3, 48, 48)
    assert (pixels[0] == -1).all()
    assert (pixels[1] == 1).all()


def test_an_unknown_word_is_named() -> None:
    with pytest.raises(ValueError, match="got 'giraffe' in 'What giraffe is it"):
        PROCESSOR.prompt_batch(asked(PICTURES[:1], ["What giraffe is it?"]))


def test_pictures_of_another_size_are_made_to_fit() -> None:
    white = np.full((1, 60, 90, 3), 255, dtype=np.uint8)
    pixels = PROCESSOR.prompt_batch(asked(white, ["is it red"]))["pixel_values"]
    assert pixels.shape == (1, 3, 48, 48)
    assert (pixels == 1).all()


def test_a_prompt_holds_all_but_the_last_answer() -> None:
    (first,) = asked(PICTURES[:1], ["what color is it"], ["red"])
    more = (Turn("user", "is it"), Turn("assistant", "left"))
    batch = PROCESSOR.prompt_batch([replace(first, turns=first.turns + more)])
    assert words(batch["input_ids"][0])[9:] == [
        "what",
        "color",
        "is",
        "it",
        "red",
        "</s>",
        "is",
        "it",
    ]


def test_what_the_model_was_never_shown_is_refused_by_row() -> None:
    (one,) = asked(PICTURES[:1], ["is it"], ["red"])
    told = replace(one, turns=(Turn("system", "is it"), *one.turns))
    with pytest.raises(ValueError, match="row 1: the embedded model takes turns of user and ass"):
        PROCESSOR.training_batch([told])
    blind = replace(one, pictures=(), turns=(Turn("user", "is it"), one.turns[1]))
    with pytest.raises(ValueError, match="takes one picture, with the first question, got 0 pict"):
        PROCESSOR.training_batch([blind])


def test_decoding_stops_at_the_end_token() -> None:
    ids = PROCESSOR.tokenizer(["top left </s> red", "red </s> </s> </s>", "top left is it"])
    assert PROCESSOR.decode(torch.tensor(ids.input_ids)) == ["top left", "red", "top left is it"]


def test_a_saved_processor_comes_back_the_same(tmp_path: Path) -> None:
    PROCESSOR.save_pretrained(tmp_path)
    again = EmbeddedProcessor.from_pretrained(tmp_path)
    one, other = (
        p.training_batch(asked(PICTURES, ["it"] * 2, ["red"] * 2)) for p in (PROCESSOR, again)
    )
    assert all(torch.equal(one[key], other[key]) for key in one)
    assert again.tokenizer.get_vocab() == PROCESSOR.tokenizer.get_vocab()
