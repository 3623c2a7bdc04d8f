"""What holds for every family alike, from its own files on."""

from collections.abc import Callable, Sequence
from itertools import groupby

import pytest
import torch
from torch import Tensor

from rankscope.models.data.dialogue import Example
from rankscope.models.inventory import PARTS
from rankscope.models.lora.inventory import list_linears
from rankscope.models.vlms.hub.families import FAMILIES
from rankscope.models.vlms.hub.meta import hub_linears
from rankscope.models.vlms.labels import NOT_SCORED
from tests.helpers.tiny_vlms import TINY_FAMILIES, UNLISTED_FAMILIES
from tests.unit.models.vlms.hub.conftest import Tiny, examples_for

every_family = pytest.mark.parametrize("family", [*TINY_FAMILIES, *UNLISTED_FAMILIES])
NUM_LAYERS = 2
ENDS = {
    "llava": "</s>",
    "llava_next": "</s>",
    "idefics3": "<end_of_utterance>",
    "smolvlm": "<end_of_utterance>",
    "qwen2_vl": "<|im_end|>",
    "qwen2_5_vl": "<|im_end|>",
    "qwen3_vl": "<|im_end|>",
    "paligemma": "<eos>",
    "internvl": "<|im_end|>",
    "llava_onevision": "<|im_end|>",
}


def scored_runs(row: Tensor, vlm: Tiny) -> list[str]:
    """The scored stretches of a row of labels, in words."""
    runs = groupby(row.tolist(), key=lambda label: label != NOT_SCORED)
    decode = vlm.processor.tokenizer.decode
    return [str(decode(list(run))).strip() for is_scored, run in runs if is_scored]


def answers_of(example: Example) -> list[str]:
    return [turn.text for turn in example.turns if turn.role == "assistant"]


def test_every_listed_family_is_tried_here() -> None:
    listed = {model_type for family in FAMILIES for model_type in family.model_types}
    assert set(TINY_FAMILIES) == listed


@every_family
def test_modules_have_their_part_and_layer(family: str, tiny: Callable[[str], Tiny]) -> None:
    linears = list_linears(tiny(family).model)
    found = {part: [m for m in linears.modules if m.part == part] for part in PARTS}
    assert len(found["language"]) == 7 * NUM_LAYERS
    assert {module.layer for module in found["language"]} == set(range(NUM_LAYERS))
    assert {module.type for module in found["language"]} >= {"q_proj", "down_proj"}
    num_towers_layers = 1 if family in ("llava", "llava_next") else NUM_LAYERS
    assert {module.layer for module in found["vision"]} == set(range(num_towers_layers))
    assert 1 <= len(found["projector"]) <= 4
    assert not any("lm_head" in m.name or "embed" in m.name for m in linears.modules)


@every_family
def test_the_inventory_needs_no_weights(family: str, tiny: Callable[[str], Tiny]) -> None:
    vlm = tiny(family)
    without_sizes = hub_linears(vlm.settings).model_copy(update={"sizes": None})
    assert without_sizes == list_linears(vlm.model)


@every_family
def test_exactly_the_answers_and_their_ends_are_scored(
    family: str, tiny: Callable[[str], Tiny]
) -> None:
    vlm = tiny(family)
    examples = examples_for(family)
    batch = vlm.processor.training_batch(examples)
    for example, labels in zip(examples, batch["labels"], strict=True):
        expected = [answer + ENDS[family] for answer in answers_of(example)]
        assert scored_runs(labels, vlm) == expected
    is_scored = batch["labels"] != NOT_SCORED
    assert torch.equal(batch["labels"][is_scored], batch["input_ids"][is_scored])
    assert bool((batch["attention_mask"][is_scored] == 1).all())


@every_family
def test_training_pads_on_the_right_and_prompts_on_the_left(
    family: str, tiny: Callable[[str], Tiny]
) -> None:
    processor = tiny(family).processor
    examples = examples_for(family)
    trained, prompts = processor.training_batch(examples), processor.prompt_batch(examples)
    assert bool((trained["attention_mask"].diff(dim=1) <= 0).all())
    assert bool((prompts["attention_mask"].diff(dim=1) >= 0).all())
    assert bool((trained["input_ids"][trained["attention_mask"] == 0] == processor.pad_id).all())
    assert bool((prompts["input_ids"][prompts["attention_mask"] == 0] == processor.pad_id).all())


@every_family
def test_a_prompt_is_the_beginning_of_what_was_trained_on(
    family: str, tiny: Callable[[str], Tiny]
) -> None:
    processor = tiny(family).processor
    examples = examples_for(family)
    trained, prompts = processor.training_batch(examples), processor.prompt_batch(examples)
    for row, prompt, mask, labels in zip(
        trained["input_ids"],
        prompts["input_ids"],
        prompts["attention_mask"],
        trained["labels"],
        strict=True,
    ):
        asked = prompt[mask == 1]
        assert torch.equal(row[: len(asked)], asked)
        assert labels[len(asked)] != NOT_SCORED  # the answer's first token comes next


@every_family
def test_the_loss_is_finite_and_the_batch_is_all_that_the_model_takes(
    family: str, tiny: Callable[[str], Tiny]
) -> None:
    vlm = tiny(family)
    batch = vlm.processor.training_batch(examples_for(family))
    with torch.no_grad():
        loss = vlm.model(**batch).loss
    assert torch.isfinite(loss)
    pictures = [name for name in batch if "pixel" in name]
    assert pictures
    assert all(batch[name].isfinite().all() for name in pictures)


@every_family
def test_batched_generation_equals_one_by_one(family: str, tiny: Callable[[str], Tiny]) -> None:
    vlm = tiny(family)
    examples = examples_for(family)
    ids, logits = generated(vlm, examples)
    for number, example in enumerate(examples):
        own_ids, own_logits = generated(vlm, [example])
        torch.testing.assert_close(logits[number], own_logits[0], atol=1e-4, rtol=1e-4)
        assert ids[number].tolist() == own_ids[0].tolist()
    answers = vlm.processor.decode(ids)
    assert len(answers) == len(examples)
    assert not any(end in answer for answer in answers for end in ENDS.values())


@every_family
def test_what_is_seen_matters(family: str, tiny: Callable[[str], Tiny]) -> None:
    """Otherwise the comparisons here would show little."""
    vlm = tiny(family)
    first, second = examples_for(family)[:2]
    _, logits = generated(vlm, [first])
    repainted = Example(first.key, first.row, second.pictures[:1], first.turns)
    _, others = generated(vlm, [repainted])
    assert float((logits - others).abs().max()) > 1e-3


def generated(vlm: Tiny, examples: Sequence[Example]) -> tuple[Tensor, Tensor]:
    """New tokens (B, L) of greedy generation and the logits of the first one (B, V)."""
    prompt = vlm.processor.prompt_batch(examples)
    output = vlm.model.generate(  # type: ignore[operator]
        **prompt,
        max_new_tokens=4,
        min_new_tokens=4,
        output_logits=True,
        return_dict_in_generate=True,
    )
    return output.sequences[:, prompt["input_ids"].shape[1] :], output.logits[0]
