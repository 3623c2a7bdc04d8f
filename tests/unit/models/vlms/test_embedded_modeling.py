"""The embedded model's structure, and its life under stock transformers and peft."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from torch import Tensor, nn

from rankscope.models.vlms.embedded.modeling import (
    EmbeddedVlmConfig,
    EmbeddedVlmForConditionalGeneration,
)
from rankscope.models.vlms.embedded.processing import EmbeddedProcessor
from tests.helpers.asking import asked

PROCESSOR = EmbeddedProcessor.from_words(["what", "color", "is", "it", "red", "at", "top", "left"])
PICTURES = np.random.default_rng(0).integers(0, 256, (2, 48, 48, 3), dtype=np.uint8)
LANGUAGE_LINEARS = r"language_model\.model\..*_proj"


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def new_model() -> EmbeddedVlmForConditionalGeneration:
    torch.manual_seed(0)
    model = EmbeddedVlmForConditionalGeneration(EmbeddedVlmConfig())
    model.train(mode=False)
    return model


def training_batch() -> dict[str, Tensor]:
    return PROCESSOR.training_batch(
        asked(PICTURES, ["what color is it", "is it"], ["red", "top left"])
    )


def generate(
    model: Any,
    questions: list[str],
    **settings: bool,
) -> list[list[int]]:
    batch = PROCESSOR.prompt_batch(asked(PICTURES[: len(questions)], questions))
    output = model.generate(**batch, max_new_tokens=4, min_new_tokens=4, **settings)
    answers: list[list[int]] = output[:, batch["input_ids"].shape[1] :].tolist()
    return answers


def test_rank_one_on_every_language_linear_costs_13_056_parameters() -> None:
    adapted = get_peft_model(new_model(), LoraConfig(r=1, target_modules=LANGUAGE_LINEARS))
    assert adapted.get_nb_trainable_parameters()[0] == 13_056


def test_linear_layers_have_readable_paths() -> None:
    names = {name for name, module in new_model().named_modules() if isinstance(module, nn.Linear)}
    assert {
        "vision_tower.encoder.layers.1.mlp.fc2",
        "vision_tower.encoder.layers.0.self_attn.out_proj",
        "projector.linear_1",
        "language_model.model.layers.5.mlp.down_proj",
        "language_model.lm_head",
    } <= names
    assert len([name for name in names if name.startswith("language_model.model")]) == 42


def test_the_loss_is_the_cross_entropy_of_the_answers() -> None:
    batch = training_batch()
    output = new_model()(**batch)
    expected = nn.functional.cross_entropy(
        output.logits[:, :-1].flatten(0, 1), batch["labels"][:, 1:].flatten()
    )
    torch.testing.assert_close(output.loss, expected)


def test_logits_are_complete_without_labels() -> None:
    batch = training_batch()
    labels = batch.pop("labels")
    output = new_model()(**batch)
    assert output.loss is None
    assert output.logits.shape == (*labels.shape, EmbeddedVlmConfig().text_config.vocab_size)


def test_pictures_reach_the_answer() -> None:
    batch = training_batch()
    model = new_model()
    before = model(**batch).logits
    batch["pixel_values"] = batch["pixel_values"].flip(0)
    assert (model(**batch).logits[:, 9:] - before[:, 9:]).abs().max() > 1e-3


def test_image_tokens_must_be_as_many_as_visual_tokens() -> None:
    batch = training_batch()
    batch["input_ids"][0, 0] = 0
    with pytest.raises(ValueError, match="must equal visual tokens, got 17 for 18"):
        new_model()(**batch)


def test_the_cache_does_not_change_what_is_generated() -> None:
    questions = ["what color is it", "what color at top"]
    assert generate(new_model(), questions, use_cache=True) == generate(
        new_model(), questions, use_cache=False
    )


def test_left_padding_does_not_change_what_is_generated() -> None:
    alone = generate(new_model(), ["is it"])
    beside_a_longer_one = generate(new_model(), ["is it", "what color is at top left"])
    assert beside_a_longer_one[0] == alone[0]


@pytest.mark.parametrize(
    "targets",
    [LANGUAGE_LINEARS, r".*(vision_tower|projector).*(proj|fc1|fc2|linear_1|linear_2)"],
)
def test_a_saved_adapter_gives_the_same_logits_again(tmp_path: Path, targets: str) -> None:
    config = LoraConfig(task_type="CAUSAL_LM", r=2, target_modules=targets)
    adapted = get_peft_model(new_model(), config)
    optimizer = torch.optim.SGD([p for p in adapted.parameters() if p.requires_grad], lr=0.1)
    for _ in range(2):
        loss = adapted(**training_batch()).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    adapted.eval().save_pretrained(str(tmp_path))
    again = PeftModel.from_pretrained(new_model(), tmp_path).eval()
    logits = adapted(**training_batch()).logits
    torch.testing.assert_close(again(**training_batch()).logits, logits, rtol=0, atol=0)
    assert (logits - new_model()(**training_batch()).logits).abs().max() > 1e-4
    assert generate(again, ["is it"]) == generate(adapted, ["is it"])


def test_a_saved_model_comes_back_with_the_same_logits(tmp_path: Path) -> None:
    model = new_model()
    model.save_pretrained(tmp_path)
    assert (tmp_path / "model.safetensors").exists()
    again = EmbeddedVlmForConditionalGeneration.from_pretrained(tmp_path, local_files_only=True)
    torch.testing.assert_close(
        again(**training_batch()).logits, model(**training_batch()).logits, rtol=0, atol=0
    )
