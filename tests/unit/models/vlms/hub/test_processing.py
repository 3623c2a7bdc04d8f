"""Batches where they meet a limit, and answers read back."""

from collections.abc import Callable

import pytest
import torch

from rankscope.models.data.dialogue import Example, Turn, Unfit
from rankscope.models.vlms.hub.processing import HubProcessor
from rankscope.models.vlms.hub.rows import Row
from rankscope.models.vlms.labels import NOT_SCORED
from tests.helpers.tiny_vlms import TINY_FAMILIES
from tests.unit.models.vlms.hub.conftest import (
    LONG,
    ONE,
    WORDS_ONLY,
    Tiny,
    asked,
    examples_for,
    picture,
)


def limited(vlm: Tiny, max_length_tokens: int) -> HubProcessor:
    """The same processor with another limit."""
    return HubProcessor(
        vlm.processor.writer,
        vlm.processor.tokenizer,
        max_length_tokens=max_length_tokens,
        max_answer_tokens=8,
    )


def place_of_last_picture(vlm: Tiny, example: Example) -> int:
    """Tokens up to the end of the last picture."""
    (row,), _ = vlm.processor.writer.rows([example], answered=True)
    return row.num_bound


@pytest.mark.parametrize("family", TINY_FAMILIES)
def test_only_text_after_the_last_picture_is_cut(family: str, tiny: Callable[[str], Tiny]) -> None:
    vlm = tiny(family)
    example = examples_for(family)[1]
    whole = vlm.processor.training_batch([example])
    length = whole["input_ids"].shape[1]
    cut = limited(vlm, length - 2).training_batch([example])
    for name in ("input_ids", "attention_mask", "labels"):
        assert torch.equal(cut[name], whole[name][:, :-2])
    assert all(torch.equal(cut[name], whole[name]) for name in whole if "pixel" in name)
    with torch.no_grad():
        assert torch.isfinite(vlm.model(**cut).loss)


@pytest.mark.parametrize("family", TINY_FAMILIES)
def test_pictures_that_do_not_fit_are_refused_with_the_figure(
    family: str, tiny: Callable[[str], Tiny]
) -> None:
    vlm = tiny(family)
    example = examples_for(family)[1]
    needed = place_of_last_picture(vlm, example)
    assert needed >= 4
    with pytest.raises(
        Unfit, match=rf"row {example.row}: .* max_length={needed} tokens, got {needed} tokens up to"
    ):
        limited(vlm, needed).training_batch([example])


def test_an_answer_that_does_not_begin_in_time_is_refused(tiny: Callable[[str], Tiny]) -> None:
    vlm = tiny("qwen2_vl")
    example = asked("<image>" + "Where is the cat? " * 20, "yes", picture(), row=7)
    bound = place_of_last_picture(vlm, example)
    with pytest.raises(Unfit, match=r"row 7: an answer must begin within max_length=\d+ tokens"):
        limited(vlm, bound + 1).training_batch([example])


def test_a_prompt_is_never_cut(tiny: Callable[[str], Tiny]) -> None:
    vlm = tiny("qwen2_vl")
    length = vlm.processor.prompt_batch([WORDS_ONLY])["input_ids"].shape[1]
    assert limited(vlm, length).prompt_batch([WORDS_ONLY])["input_ids"].shape[1] == length
    with pytest.raises(
        Unfit, match=rf"row 4: .* than max_length={length - 1} tokens, got {length}"
    ):
        limited(vlm, length - 1).prompt_batch([WORDS_ONLY])


@pytest.mark.parametrize("family", TINY_FAMILIES)
def test_decoding_stops_at_the_end_of_the_answer(family: str, tiny: Callable[[str], Tiny]) -> None:
    processor = tiny(family).processor
    labels = processor.training_batch([ONE])["labels"][0]
    said = labels[labels != NOT_SCORED]
    beyond = torch.cat([said, said, torch.tensor([processor.pad_id] * 2)])
    assert processor.decode(beyond[None]) == ["The bus is red."]
    assert processor.decode(said[None, :-1]) == ["The bus is red."]


@pytest.mark.parametrize("family", sorted(set(TINY_FAMILIES) - {"paligemma"}))
def test_text_alone_needs_no_pictures(family: str, tiny: Callable[[str], Tiny]) -> None:
    vlm = tiny(family)
    batch = vlm.processor.training_batch([WORDS_ONLY, WORDS_ONLY])
    assert not [name for name in batch if "pixel" in name or "image" in name]
    with torch.no_grad():
        assert torch.isfinite(vlm.model(**batch).loss)


def test_pictures_come_in_the_order_of_their_places(tiny: Callable[[str], Tiny]) -> None:
    vlm = tiny("llava")
    (first,), (second, third) = ONE.pictures, LONG.pictures
    batch = vlm.processor.training_batch([ONE, WORDS_ONLY, LONG])
    for number, one in enumerate((first, second, third)):
        alone = vlm.processor.training_batch([asked("<image>What?", "It", one)])
        assert torch.equal(batch["pixel_values"][number], alone["pixel_values"][0])


def test_a_picture_that_the_models_processor_cannot_take_is_told_with_its_row(
    tiny: Callable[[str], Tiny],
) -> None:
    """Qwen's takes none that is 200 times as wide as high."""
    thin = asked("<image>What?", "It", picture(402, 2), row=9)
    with pytest.raises(Unfit, match=r"row 9: .* own processor .* got absolute aspect ratio"):
        tiny("qwen2_vl").processor.training_batch([thin])


def test_the_models_own_tokens_are_told_with_their_row(tiny: Callable[[str], Tiny]) -> None:
    broken = asked("What is </s>?", "An end", row=5)
    with pytest.raises(Unfit, match=r"row 5: a text must not hold .* got '</s>'"):
        tiny("llava").processor.training_batch([broken])


def test_a_file_is_named_with_its_row(tiny: Callable[[str], Tiny]) -> None:
    turns = (Turn("user", "What is </s>?"), Turn("assistant", "An end"))
    with pytest.raises(Unfit, match=r"^data\.json row 5: "):
        tiny("llava").processor.prompt_batch([Example("5", 5, (), turns, file="data.json")])


def test_rows_keep_what_belongs_to_every_token() -> None:
    row = Row([1, 2, 3], [NOT_SCORED, 2, 3], {"token_type_ids": [0, 1, 1]}, 1)
    assert row.cut(2) == Row([1, 2], [NOT_SCORED, 2], {"token_type_ids": [0, 1]}, 1)
