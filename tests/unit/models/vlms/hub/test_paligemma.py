"""PaliGemma: one request about pictures, read in both directions, and its answer."""

from collections.abc import Callable

import pytest
import torch

from rankscope.models.data.dialogue import Unfit
from tests.unit.models.vlms.hub.conftest import LONG, ONE, SMALL, WORDS_ONLY, Tiny, asked, picture

NUM_VISUAL_TOKENS = 4


@pytest.fixture
def vlm(tiny: Callable[[str], Tiny]) -> Tiny:
    return tiny("paligemma")


def test_pictures_come_first_then_the_request_then_the_answer(vlm: Tiny) -> None:
    batch = vlm.processor.training_batch([ONE])
    text = vlm.processor.tokenizer.decode(batch["input_ids"][0])
    pictures = "<image>" * NUM_VISUAL_TOKENS
    assert text == f"{pictures}<bos>What color is it?\nThe bus is red.<eos>"
    is_answer = batch["token_type_ids"][0] == 1
    assert (
        vlm.processor.tokenizer.decode(batch["input_ids"][0][is_answer]) == "The bus is red.<eos>"
    )
    assert torch.equal(is_answer, batch["labels"][0] != -100)


def test_a_prompt_is_all_request(vlm: Tiny) -> None:
    batch = vlm.processor.prompt_batch([ONE, SMALL])
    assert not batch["token_type_ids"].any()
    text = str(vlm.processor.tokenizer.decode(batch["input_ids"][0]))
    assert text.endswith("What color is it?\n")


def test_the_request_is_read_in_both_directions(vlm: Tiny) -> None:
    """A later word of the request changes what the model makes of the picture; one of the answer
    does not."""
    batch = vlm.processor.training_batch([ONE])
    place = int((batch["labels"][0] != -100).nonzero()[0])

    def at_the_first_place(changed: int) -> torch.Tensor:
        ids = batch["input_ids"].clone()
        ids[0, changed] = vlm.processor.end_ids[0]
        with torch.no_grad():
            logits: torch.Tensor = vlm.model(**{**batch, "input_ids": ids}).logits[0, 0]
        return logits

    request, answer = at_the_first_place(place - 2), at_the_first_place(place)
    with torch.no_grad():
        before = vlm.model(**batch).logits[0, 0]
    assert float((request - before).abs().max()) > 1e-3
    torch.testing.assert_close(answer, before)


def test_several_pictures_come_before_all_words(vlm: Tiny) -> None:
    two = asked("Is <image> like <image>?", "no", picture(), picture(30, 60, "blue"))
    batch = vlm.processor.training_batch([ONE, two])
    text = vlm.processor.tokenizer.decode(batch["input_ids"][1])
    assert text == "<image>" * 2 * NUM_VISUAL_TOKENS + "<bos>Is like ?\nno<eos>"
    assert batch["pixel_values"].shape[0] == 3
    with torch.no_grad():
        assert torch.isfinite(vlm.model(**batch).loss)


def test_a_chat_is_refused(vlm: Tiny) -> None:
    with pytest.raises(Unfit, match=r"row 3: PaliGemma takes one request .* got system, user, ass"):
        vlm.processor.training_batch([ONE, LONG])


def test_a_request_without_a_picture_is_refused(vlm: Tiny) -> None:
    with pytest.raises(Unfit, match=r"row 4: PaliGemma answers about pictures only"):
        vlm.processor.prompt_batch([WORDS_ONLY])


def test_the_models_own_tokens_are_refused_but_those_of_places_are_words(vlm: Tiny) -> None:
    with pytest.raises(Unfit, match=r"got '<eos>' in a turn of the assistant"):
        vlm.processor.training_batch([asked("<image>end?", "<eos>", picture())])
    found = asked("<image>detect cat", "<loc0012><loc0100><loc0300><loc1023> cat", picture())
    labels = vlm.processor.training_batch([found])["labels"][0]
    said = labels[labels != -100].tolist()
    locations = vlm.processor.tokenizer.convert_tokens_to_ids(["<loc0012>", "<loc1023>"])
    assert [said[0], said[3]] == locations
    assert vlm.processor.decode(torch.tensor([said])) == [found.turns[1].text]
