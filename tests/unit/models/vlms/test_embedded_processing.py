"""Batches of the embedded model and its way back to words."""

from pathlib import Path

import numpy as np
import pytest
import torch

from rankscope.models.vlms.embedded.processing import EmbeddedProcessor

PROCESSOR = EmbeddedProcessor.from_words(["what", "color", "is", "it", "red", "top", "left"])
PICTURES = np.zeros((2, 48, 48, 3), dtype=np.uint8)
PICTURES[1] = 255


def words(ids: torch.Tensor) -> list[str]:
    return [str(PROCESSOR.tokenizer.decode(token_id)) for token_id in ids.tolist()]


def test_a_training_batch_is_padded_right_and_scores_answers_and_their_end_only() -> None:
    batch = PROCESSOR.training_batch(PICTURES, ["What color is it?", "is it red?"], ["red", "left"])
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
    batch = PROCESSOR.prompt_batch(PICTURES, ["what color is it", "is it red"])
    assert words(batch["input_ids"][1])[:2] == ["<pad>", "<image>"]
    assert words(batch["input_ids"][1])[-1] == "red"
    assert batch["attention_mask"].tolist() == [[1] * 13, [0] + [1] * 12]


def test_pictures_become_channels_first_between_minus_one_and_one() -> None:
    pixels = PROCESSOR.prompt_batch(PICTURES, ["is it", "is it"])["pixel_values"]
    assert pixels.shape == (2, 3, 48, 48)
    assert (pixels[0] == -1).all()
    assert (pixels[1] == 1).all()


def test_an_unknown_word_is_named() -> None:
    with pytest.raises(ValueError, match="got 'giraffe' in 'What giraffe is it"):
        PROCESSOR.prompt_batch(PICTURES[:1], ["What giraffe is it?"])


def test_pictures_of_another_size_are_refused() -> None:
    with pytest.raises(ValueError, match=r"got \(64, 64, 3\); load the data set with .*=48"):
        PROCESSOR.prompt_batch(np.zeros((1, 64, 64, 3), np.uint8), ["is it red"])


def test_decoding_stops_at_the_end_token() -> None:
    ids = PROCESSOR.tokenizer(["top left </s> red", "red </s> </s> </s>", "top left is it"])
    assert PROCESSOR.decode(torch.tensor(ids.input_ids)) == ["top left", "red", "top left is it"]


def test_a_saved_processor_comes_back_the_same(tmp_path: Path) -> None:
    PROCESSOR.save_pretrained(tmp_path)
    again = EmbeddedProcessor.from_pretrained(tmp_path)
    one, other = (p.training_batch(PICTURES, ["it"] * 2, ["red"] * 2) for p in (PROCESSOR, again))
    assert all(torch.equal(one[key], other[key]) for key in one)
    assert again.tokenizer.get_vocab() == PROCESSOR.tokenizer.get_vocab()
