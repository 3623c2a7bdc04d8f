"""MobileVLM under stock transformers."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from transformers import CLIPVisionModel

from rankscope.models.vlms.mobilevlm.modeling import MobileVlmForConditionalGeneration
from rankscope.models.vlms.mobilevlm.sizes import ProjectorKind
from tests.unit.models.vlms.mobilevlm.tiny import (
    IMAGE_ID,
    NUM_VISUAL_TOKENS,
    assert_same,
    pixels,
    tiny_batch,
    tiny_config,
    tiny_model,
)

PROJECTORS: tuple[ProjectorKind, ...] = ("ldpnet", "ldpnetv2")


def generate(model: Any, ids: Tensor, mask: Tensor, **settings: bool) -> list[list[int]]:
    output = model.generate(
        input_ids=ids,
        attention_mask=mask,
        pixel_values=pixels(len(ids)),
        max_new_tokens=5,
        min_new_tokens=5,
        do_sample=False,
        **settings,
    )
    answers: list[list[int]] = output[:, ids.shape[1] :].tolist()
    return answers


def left_padded_prompts() -> tuple[Tensor, Tensor]:
    image = [IMAGE_ID] * NUM_VISUAL_TOKENS
    ids = torch.tensor([[1, 9, *image, 11, 12], [0, 0, 1, *image, 14]])
    mask = torch.ones_like(ids)
    mask[1, :2] = 0
    return ids, mask


def gradients(model: MobileVlmForConditionalGeneration) -> dict[str, Tensor]:
    model(**tiny_batch()).loss.backward()
    return {name: p.grad for name, p in model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("projector", PROJECTORS)
def test_the_loss_is_the_cross_entropy_of_the_labels(projector: ProjectorKind) -> None:
    batch = tiny_batch()
    output = tiny_model(projector)(**batch)
    expected = nn.functional.cross_entropy(
        output.logits[:, :-1].flatten(0, 1), batch["labels"][:, 1:].flatten()
    )
    torch.testing.assert_close(output.loss, expected)


@pytest.mark.parametrize("projector", PROJECTORS)
def test_every_part_learns_but_for_what_clip_says_of_the_whole_picture(
    projector: ProjectorKind,
) -> None:
    model = tiny_model(projector)
    without = {name for name, _ in model.named_parameters()} - gradients(model).keys()
    assert without == {"vision_tower.post_layernorm.weight", "vision_tower.post_layernorm.bias"}


def test_visual_tokens_stand_where_the_image_ids_stood() -> None:
    model, batch = tiny_model(), tiny_batch()
    embed = model.get_input_embeddings()
    tokens = model.visual_tokens(batch["pixel_values"])
    by_hand = [
        [embed(torch.tensor([1, 10])), tokens[0], embed(torch.tensor([11, 12, 13]))],
        [embed(torch.tensor([1])), tokens[1], embed(torch.tensor([14, 15, 0, 0]))],
    ]
    expected = model.language_model(
        inputs_embeds=torch.stack([torch.cat(row) for row in by_hand]),
        attention_mask=batch["attention_mask"],
        labels=batch["labels"],
    )
    output = model(**batch)
    assert torch.equal(output.logits, expected.logits)
    assert torch.equal(output.loss, expected.loss)


def test_features_are_clips_last_hidden_state_but_one_without_the_class() -> None:
    torch.manual_seed(0)
    whole = CLIPVisionModel(tiny_config().vision_config)
    model = tiny_model()
    missing, unexpected = model.vision_tower.load_state_dict(whole.state_dict(), strict=False)
    assert not missing
    assert {".".join(name.split(".")[:3]) for name in unexpected} == {"encoder.layers.1"}
    states = whole(pixel_values=pixels(2), output_hidden_states=True).hidden_states
    expected = model.projector(states[-2][:, 1:])
    torch.testing.assert_close(model.visual_tokens(pixels(2)), expected, rtol=0, atol=0)


def test_labels_on_image_ids_never_count() -> None:
    model, batch = tiny_model(), tiny_batch()
    expected = model(**batch).loss
    batch["labels"][batch["input_ids"] == IMAGE_ID] = IMAGE_ID
    assert torch.equal(model(**batch).loss, expected)


def test_official_batches_with_one_id_per_picture_give_the_same_logits() -> None:
    model, batch = tiny_model(), tiny_batch()
    official = {
        "input_ids": torch.tensor([[1, 10, IMAGE_ID, 11, 12, 13], [1, IMAGE_ID, 14, 15, 0, 0]]),
        "attention_mask": torch.tensor([[1] * 6, [1, 1, 1, 1, 0, 0]]),
        "labels": torch.tensor([[-100] * 4 + [12, 13], [-100, -100, 14, 15, -100, -100]]),
        "pixel_values": batch["pixel_values"],
    }
    output, expected = model(**official), model(**batch)
    assert torch.equal(output.logits, expected.logits)
    assert torch.equal(output.loss, expected.loss)


def test_rows_may_hold_several_pictures_or_none() -> None:
    model = tiny_model()
    first, second = [IMAGE_ID] * 4 + [9], [IMAGE_ID] * 4 + [10]
    together = model(
        input_ids=torch.tensor([first + second, [5] * 10]), pixel_values=pixels(2)
    ).logits
    alone = model(input_ids=torch.tensor([first]), pixel_values=pixels(2)[:1]).logits
    text = model(input_ids=torch.tensor([[5] * 10])).logits
    torch.testing.assert_close(together[:1, :5], alone)
    torch.testing.assert_close(together[1:], text)


def test_image_ids_that_do_not_fit_the_pictures_are_refused() -> None:
    batch = tiny_batch()
    batch["input_ids"][0, 2] = 7
    with pytest.raises(ValueError, match=r"must equal the 8 visual tokens of 2 pictures .* got 7;"):
        tiny_model()(**batch)


def test_image_ids_without_pictures_are_refused() -> None:
    batch = tiny_batch()
    del batch["pixel_values"]
    with pytest.raises(ValueError, match="need pictures, got no pixel_values"):
        tiny_model()(**batch)


def test_one_id_per_picture_is_refused_where_a_cache_would_count_wrongly() -> None:
    ids = torch.tensor([[1, IMAGE_ID, 9]])
    with pytest.raises(ValueError, match="got 1; build batches with MobileVlmProcessor or expand"):
        generate(tiny_model(), ids, torch.ones_like(ids))


@pytest.mark.parametrize("projector", PROJECTORS)
def test_the_cache_does_not_change_what_is_generated(projector: ProjectorKind) -> None:
    model, (ids, mask) = tiny_model(projector), left_padded_prompts()
    assert generate(model, ids, mask, use_cache=True) == generate(model, ids, mask, use_cache=False)


def test_left_padding_does_not_change_what_is_generated() -> None:
    model, (ids, mask) = tiny_model(), left_padded_prompts()
    alone = generate(model, ids[:1, :], mask[:1, :])
    assert generate(model, ids, mask)[0] == alone[0]
    padded = torch.cat([torch.zeros(1, 3, dtype=torch.long), ids[:1]], dim=1)
    padded_mask = torch.cat([torch.zeros(1, 3, dtype=torch.long), mask[:1]], dim=1)
    assert generate(model, padded, padded_mask) == alone


def test_pictures_reach_the_answer() -> None:
    model, batch = tiny_model(), tiny_batch()
    before = model(**batch).logits
    batch["pixel_values"] = batch["pixel_values"].flip(0)
    assert (model(**batch).logits[:, -3:] - before[:, -3:]).abs().max() > 1e-3


def test_gradient_checkpointing_changes_no_gradient() -> None:
    plain, checkpointed = tiny_model().train(), tiny_model().train()
    checkpointed.activation_checkpointing_enable()
    expected, found = gradients(plain), gradients(checkpointed)
    assert expected.keys() == found.keys()
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, msg=name)


def test_checkpointing_runs_no_frozen_tower_backwards() -> None:
    model = tiny_model().train()
    model.vision_tower.requires_grad_(False)
    model.activation_checkpointing_enable()
    seen: list[bool] = []
    model.vision_tower.encoder.layers[0].register_forward_hook(
        lambda _module, _inputs, output: seen.append(output.requires_grad)
    )
    found = gradients(model)
    assert seen == [False]
    assert not any(name.startswith("vision_tower.") for name in found)
    assert found["projector.linear_1.weight"].abs().max() > 0


@pytest.mark.parametrize("projector", PROJECTORS)
def test_a_saved_model_comes_back_the_same(tmp_path: Path, projector: ProjectorKind) -> None:
    model = tiny_model(projector)
    model.save_pretrained(tmp_path)
    assert_same(MobileVlmForConditionalGeneration.from_pretrained(tmp_path), model)


def test_half_precision_takes_pictures_in_single() -> None:
    model = nn.Module.to(tiny_model(), torch.bfloat16)
    assert model(**tiny_batch()).logits.dtype == torch.bfloat16
