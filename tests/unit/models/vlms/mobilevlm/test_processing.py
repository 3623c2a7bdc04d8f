"""Batches by hand: see ``tiny.WORDS`` for the ids."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from rankscope.models.data.dialogue import Example, Picture, Pixels, Role, Turn
from rankscope.models.vlms.mobilevlm.pictures import ClipPictures
from rankscope.models.vlms.mobilevlm.processing import MobileVlmProcessor
from rankscope.models.vlms.mobilevlm.tokenizing import load_tokenizer
from tests.unit.models.vlms.mobilevlm.tiny import (
    IMAGE_ID,
    NUM_SYSTEM_WORDS,
    NUM_VISUAL_TOKENS,
    picture,
    tiny_config,
    tiny_model,
    tiny_tokenizer,
)

PROCESSOR = MobileVlmProcessor(tiny_tokenizer(), tiny_config())
PICTURE = [IMAGE_ID] * NUM_VISUAL_TOKENS
SYSTEM = [0] * NUM_SYSTEM_WORDS
NONE = -100
Said = tuple[Role, str]

DIALOGUE: list[Said] = [
    ("user", "<image>\nwhat color"),
    ("assistant", "red"),
    ("user", "where"),
    ("assistant", "top left"),
]


def example(said: list[Said], *pictures: Image.Image) -> Example:
    return Example(
        key="",
        row=1,
        pictures=tuple(Picture("", Pixels(np.asarray(image))) for image in pictures),
        turns=tuple(Turn(role, words) for role, words in said),
    )


def asking(said: list[Said], *pictures: Image.Image) -> Example:
    """A dialogue whose answer is still to come."""
    return example([*said, ("assistant", "?")], *pictures)


def test_a_dialogue_scores_its_answers_and_their_ends() -> None:
    """Begin, system, "USER:", a space, the picture; from there the text begins anew."""
    batch = PROCESSOR.training_batch([example(DIALOGUE, picture())])
    asked, again = [1, *SYSTEM, 4, 3, *PICTURE, 6, 7, 5], [4, 10, 5]
    assert batch["input_ids"].tolist() == [[*asked, 8, 2, *again, 11, 12, 2]]
    assert batch["labels"].tolist() == [
        [*[NONE] * len(asked), 8, 2, *[NONE] * len(again), 11, 12, 2]
    ]
    assert batch["attention_mask"].all()
    assert torch.equal(batch["pixel_values"], ClipPictures(56)([picture()]))


def test_training_pads_on_the_right_and_text_alone_needs_no_picture() -> None:
    """The second row: begin, "Be brief. USER: where ASSISTANT: red" and the end."""
    text: list[Said] = [("system", "Be brief."), ("user", "where"), ("assistant", "red")]
    batch = PROCESSOR.training_batch([example(DIALOGUE, picture()), example(text)])
    num_padded = batch["input_ids"].shape[1] - 8
    assert batch["input_ids"][1].tolist() == [1, 15, 16, 4, 10, 5, 8, 2, *[0] * num_padded]
    assert batch["attention_mask"][1].tolist() == [1] * 8 + [0] * num_padded
    assert batch["labels"][1].tolist() == [NONE] * 6 + [8, 2] + [NONE] * num_padded
    assert len(batch["pixel_values"]) == 1
    assert "pixel_values" not in PROCESSOR.training_batch([example(text)])


def test_a_caption_is_scored_with_its_newline() -> None:
    plain = MobileVlmProcessor(tiny_tokenizer(), tiny_config(), template="plain")
    caption = example([("user", "<image>"), ("assistant", "red")], picture())
    batch = plain.training_batch([caption])
    assert batch["input_ids"].tolist() == [[1, *PICTURE, 14]]
    assert batch["labels"].tolist() == [[NONE] * 5 + [14]]
    prompt = plain.prompt_batch([caption])
    assert prompt["input_ids"].tolist() == [[1, *PICTURE]]


def test_a_prompt_batch_is_padded_on_the_left() -> None:
    short: list[Said] = [("system", "Be brief."), ("user", "where")]
    batch = PROCESSOR.prompt_batch([asking(DIALOGUE[:1], picture()), asking(short)])
    assert batch["input_ids"][0].tolist() == [1, *SYSTEM, 4, 3, *PICTURE, 6, 7, 5]
    num_padded = batch["input_ids"].shape[1] - 6
    assert batch["input_ids"][1].tolist() == [*[0] * num_padded, 1, 15, 16, 4, 10, 5]
    assert batch["attention_mask"][1].tolist() == [0] * num_padded + [1] * 6
    assert "labels" not in batch


def test_the_prompt_of_training_and_of_generation_are_the_same_tokens() -> None:
    trained = PROCESSOR.training_batch([example(DIALOGUE, picture())])["input_ids"][0].tolist()
    asked = PROCESSOR.prompt_batch([example(DIALOGUE, picture())])["input_ids"][0].tolist()
    assert trained == [*asked, 11, 12, 2]


def test_pictures_follow_the_order_of_their_places() -> None:
    red, blue, gray = (picture(color=color) for color in ("red", "blue", "gray"))
    two: list[Said] = [("user", "<image><image> where"), ("assistant", "left")]
    batch = PROCESSOR.training_batch([example(DIALOGUE, red), example(two, blue, gray)])
    assert torch.equal(batch["pixel_values"], ClipPictures(56)([red, blue, gray]))
    assert (batch["input_ids"] == IMAGE_ID).sum(1).tolist() == [4, 8]


def test_rows_are_cut_to_the_context_without_leaving_part_of_a_picture() -> None:
    """Begin, "Be brief. USER: where ASSISTANT: red" and the end are 8 tokens, "USER:" and a space
    2 more: a context of 12 would leave half of the picture after them, so 10 are left."""
    processor = MobileVlmProcessor(tiny_tokenizer(), tiny_config(context_tokens=12))
    later: list[Said] = [
        *(("system", "Be brief."), ("user", "where"), ("assistant", "red")),
        *(("user", "<image> what"), ("assistant", "left")),
    ]
    batch = processor.training_batch([example(later, picture())])
    assert batch["input_ids"].tolist() == [[1, 15, 16, 4, 10, 5, 8, 2, 4, 3]]
    assert "pixel_values" not in batch


def test_a_batch_with_nothing_to_learn_is_refused() -> None:
    processor = MobileVlmProcessor(tiny_tokenizer(), tiny_config(context_tokens=30))
    with pytest.raises(ValueError, match="within the context of 30 tokens, got none; leave these"):
        processor.training_batch([example(DIALOGUE, picture())])


def test_a_prompt_that_fills_the_context_is_refused() -> None:
    processor = MobileVlmProcessor(tiny_tokenizer(), tiny_config(context_tokens=33))
    with pytest.raises(ValueError, match="context of 33 tokens, got 33; shorten the question"):
        processor.prompt_batch([asking(DIALOGUE[:1], picture())])


def test_decoding_stops_at_the_end_token() -> None:
    ids = torch.tensor([[11, 12, 2, 8], [8, 2, 2, 2], [11, 12, 7, 9]])
    assert PROCESSOR.decode(ids) == ["top left", "red", "top left color is"]


def test_a_saved_tokenizer_comes_back_the_same(tmp_path: Path) -> None:
    PROCESSOR.save_pretrained(tmp_path)
    again = MobileVlmProcessor.from_pretrained(tmp_path, tiny_config())
    one, other = (p.training_batch([example(DIALOGUE, picture())]) for p in (PROCESSOR, again))
    assert all(torch.equal(one[key], other[key]) for key in one)


def test_a_folder_without_a_tokenizer_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"must hold tokenizer.model, got no such file"):
        load_tokenizer(tmp_path)


def test_a_tokenizer_with_another_end_is_refused() -> None:
    tokenizer = tiny_tokenizer()
    tokenizer.eos_token = "<unk>"  # noqa: S105 - no password
    with pytest.raises(ValueError, match="end them with '</s>', got '<s>' and '<unk>'"):
        MobileVlmProcessor(tokenizer, tiny_config())


def test_the_model_takes_both_kinds_of_batches() -> None:
    model = tiny_model()
    loss = model(**PROCESSOR.training_batch([example(DIALOGUE, picture())])).loss
    assert torch.isfinite(loss)
    prompt: dict[str, Any] = PROCESSOR.prompt_batch(
        [asking(DIALOGUE[:1], picture()), example(DIALOGUE, picture())]
    )
    output = model.generate(**prompt, max_new_tokens=3, do_sample=False)  # type: ignore[misc]
    assert len(PROCESSOR.decode(output[:, prompt["input_ids"].shape[1] :])) == 2


def test_a_picture_may_be_cropped_instead_of_padded_without_changing_the_processor() -> None:
    wide = Image.new("RGB", (40, 10), (255, 255, 255))
    padded = PROCESSOR.prompt_batch([asking(DIALOGUE[:1], wide)])["pixel_values"]
    cropped = PROCESSOR.framed("crop").prompt_batch([asking(DIALOGUE[:1], wide)])["pixel_values"]
    assert cropped.std() < padded.std()
    again = PROCESSOR.prompt_batch([asking(DIALOGUE[:1], wide)])["pixel_values"]
    assert torch.equal(again, padded)
