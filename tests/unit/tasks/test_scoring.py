"""Exact match of generated answers, and the loss of single items."""

import math
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from rankscope.models.vlms.embedded.modeling import EmbeddedVlmForConditionalGeneration
from rankscope.models.vlms.embedded.processing import generate_answers
from rankscope.models.vlms.loading import LoadedVlm
from rankscope.tasks.scoring import exact_match, item_losses, mean_loss
from tests.unit.tasks import tiny


class Parrot(nn.Module):
    """Says prepared answers, one after another, and notes how it was asked."""

    def __init__(self, answers: list[str]) -> None:
        super().__init__()
        self.answers = answers
        self.batch_sizes: list[int] = []
        self.modes: list[bool] = []

    def generate(self, input_ids: Tensor, max_new_tokens: int, **_: object) -> Tensor:
        start = sum(self.batch_sizes)
        self.batch_sizes.append(len(input_ids))
        self.modes.append(self.training)
        said = tiny.processor().tokenizer(self.answers[start : start + len(input_ids)])
        rows = [ids + [1] * (max_new_tokens - len(ids)) for ids in said.input_ids]
        return torch.cat([input_ids, torch.tensor(rows)], dim=1)


def loaded() -> LoadedVlm:
    return LoadedVlm(tiny.vlm().model, tiny.processor(), torch.device("cpu"), tiny.SIZE_PX)


def test_an_answer_counts_only_when_it_is_exact() -> None:
    """Expected: red, dark blue, square, yes, red. Right: items 0, 1 and 3.

    3 / 5. Skills alternate color, shape: color has items 0, 2, 4 (1 of 3), shape 1 and 3 (2 of 2).
    """
    parrot = Parrot(["red", "dark blue", "yes", "yes", "red red"])
    counted: list[int] = []
    score = exact_match(parrot, loaded(), tiny.part(5), batch_size=2, on_items=counted.append)
    assert score.correct_N.tolist() == [True, True, False, True, False]
    assert score.accuracy == 0.6
    assert score.accuracy_by_skill == {"color": pytest.approx(1 / 3), "shape": 1.0}
    assert parrot.batch_sizes == [2, 2, 1]
    assert counted == [2, 4, 5]


def test_spaces_and_case_make_no_difference() -> None:
    part = tiny.part(2)
    shouted = type(part)(
        part.images_NHWC, part.image_ids_I, part.questions, (" Red ", "DARK  blue"), part.skills
    )
    score = exact_match(Parrot(["red", "dark blue"]), loaded(), shouted, batch_size=8)
    assert score.correct_N.tolist() == [True, True]


@pytest.mark.parametrize("is_training", [True, False])
def test_scoring_happens_in_evaluation_mode_and_restores_the_models_own(is_training: bool) -> None:
    parrot = Parrot(["red"] * 3).train(mode=is_training)
    exact_match(parrot, loaded(), tiny.part(3), batch_size=2)
    assert parrot.modes == [False, False]
    assert parrot.training is is_training


def test_the_mode_is_restored_even_when_generation_fails() -> None:
    parrot = Parrot([]).train()
    with pytest.raises((ValueError, RuntimeError, IndexError)):
        exact_match(parrot, loaded(), tiny.part(2), batch_size=2)
    assert parrot.training


def test_a_real_model_answers_in_a_batch_as_it_does_alone() -> None:
    vlm, part = loaded(), tiny.part(7)
    model, processor = vlm.model, tiny.processor()
    assert isinstance(model, EmbeddedVlmForConditionalGeneration)
    alone = [
        answer
        for i in range(7)
        for answer in generate_answers(model, processor, part.examples([i]))
    ]
    assert generate_answers(model, processor, part.examples(range(7))) == alone
    right = [said == answer for said, answer in zip(alone, part.answers, strict=True)]
    assert exact_match(model, vlm, part, batch_size=7).correct_N.tolist() == right


class Fixed(nn.Module):
    """Gives prepared logits."""

    def __init__(self, logits_BTV: Tensor) -> None:
        super().__init__()
        self.logits_BTV = logits_BTV

    def forward(self, **inputs: Any) -> SimpleNamespace:
        assert "labels" not in inputs
        return SimpleNamespace(logits=self.logits_BTV)


def test_item_losses_by_hand() -> None:
    """Four words. Uniform logits: ln 4. Logit ln 3 for the right word: p = 3 / (3 + 3), ln 2.

    Item 0 scores tokens 2 and 3, predicted at 1 (uniform) and 2 (ln 3): (ln 4 + ln 2) / 2 = 1.5 ln
    2. Item 1 scores token 1 alone, predicted at 0 (ln 3): ln 2. What stands at unscored places and
    after the last token does not matter.
    """
    logits_BTV = torch.zeros(2, 4, 4)
    logits_BTV[0, 2, 3] = logits_BTV[1, 0, 1] = math.log(3)
    logits_BTV[:, 3] = 50.0 * torch.arange(4)
    logits_BTV[1, 1] = 50.0 * torch.arange(4)
    labels_BT = torch.tensor([[-100, -100, 2, 3], [-100, 1, -100, -100]])
    losses_B = item_losses(Fixed(logits_BTV), {"input_ids": labels_BT, "labels": labels_BT})
    assert losses_B.tolist() == pytest.approx([1.5 * math.log(2), math.log(2)], rel=1e-6)


def test_item_losses_of_a_batch_are_the_models_own_loss_of_each_item_alone() -> None:
    vlm, part = loaded(), tiny.part(6)
    batch = vlm.processor.training_batch(part.examples(range(6)))
    alone = []
    for i in range(6):
        one = vlm.processor.training_batch(part.examples([i]))
        alone.append(float(vlm.model(**one).loss))
    assert item_losses(vlm.model, batch).tolist() == pytest.approx(alone, rel=1e-5)


def test_the_mean_loss_of_a_part_is_that_of_its_items_whatever_the_batch() -> None:
    vlm, part = loaded(), tiny.part(5)
    batch = vlm.processor.training_batch(part.examples(range(5)))
    expected = float(item_losses(vlm.model, batch).mean())
    vlm.model.train()
    assert mean_loss(vlm.model, vlm, part, batch_size=2) == pytest.approx(expected, rel=1e-5)
    assert vlm.model.training
