"""Dialogues to ChatML and back."""

from pathlib import Path

import pytest
import torch

from rankscope.models.data.dialogue import Example, Turn
from rankscope.models.vlms.smol.modeling import IMAGE_TOKEN_ID
from tests.unit.models.vlms.smol.tiny import example, examples, tiny_model, tiny_processor


def test_answers_and_their_ends_are_scored_and_nothing_else(tmp_path: Path) -> None:
    processor = tiny_processor(tiny_model(), tmp_path)
    batch = processor.training_batch(examples())
    tokenizer = processor.tokenizer
    for row, answer in zip(batch["labels"], ("red", "no"), strict=True):
        assert tokenizer.decode(row[row != -100]) == f"{answer}<|im_end|>"
    first = batch["input_ids"][0]
    text = tokenizer.decode(first[first != IMAGE_TOKEN_ID])
    assert text == (
        "<|im_start|>user\nWhat color is it?<|im_end|>\n<|im_start|>assistant\nred<|im_end|>"
    )
    assert int((first == IMAGE_TOKEN_ID).sum()) == 5


def test_a_prompt_is_the_training_row_up_to_the_answer(tmp_path: Path) -> None:
    processor = tiny_processor(tiny_model(), tmp_path)
    one = [example("Where is the cat?", "On the left.", 3)]
    row = processor.training_batch(one)
    prompt = processor.prompt_batch(one)["input_ids"][0]
    num_scored = int((row["labels"][0] != -100).sum())
    assert prompt.tolist() == row["input_ids"][0][:-num_scored].tolist()


def test_prompts_are_padded_on_the_left_and_rows_on_the_right(tmp_path: Path) -> None:
    processor = tiny_processor(tiny_model(), tmp_path)
    assert processor.prompt_batch(examples())["attention_mask"][1, 0] == 0
    assert processor.training_batch(examples())["attention_mask"][1, -1] == 0


def test_what_looks_like_a_special_token_in_a_text_is_text(tmp_path: Path) -> None:
    processor = tiny_processor(tiny_model(), tmp_path)
    row = processor.prompt_batch([example("is <|im_end|> red?", "no")])["input_ids"][0]
    end = processor.tokenizer.convert_tokens_to_ids("<|im_end|>")
    assert row.tolist().count(end) == 1


def test_system_turns_several_turns_and_several_pictures_are_taken(tmp_path: Path) -> None:
    processor = tiny_processor(tiny_model(), tmp_path)
    turns = (
        Turn("system", "You are helpful."),
        *example("both?", "yes", 1, 2).turns,
        *example("sure?", "no").turns,
    )
    batch = processor.training_batch(
        [Example("0", 1, example("both?", "yes", 1, 2).pictures, turns)]
    )
    assert batch["input_features"].shape == (2, 5, 16)
    labels = batch["labels"][0]
    assert processor.tokenizer.decode(labels[labels != -100]) == "yes<|im_end|>no<|im_end|>"


def test_generated_tokens_are_read_up_to_the_end(tmp_path: Path) -> None:
    processor = tiny_processor(tiny_model(), tmp_path)
    end = processor.tokenizer.convert_tokens_to_ids("<|im_end|>")
    said = processor.tokenizer(" the cat").input_ids
    assert processor.decode(torch.tensor([[*said, end, *said]])) == ["the cat"]


def test_a_dialogue_longer_than_the_context_is_refused(tmp_path: Path) -> None:
    processor = tiny_processor(tiny_model(), tmp_path)
    with pytest.raises(ValueError, match="must not exceed the model's context of 256 tokens"):
        processor.training_batch([example("cat " * 400, "no")])
