"""Pixels kept of a picture, seen in the visual tokens; a tile here has 28 x 28 = 784 pixels."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from rankscope.models.vlms.hub.loading import load_hub
from tests.unit.models.vlms.hub.conftest import CPU, asked, picture, settings_of

TILE = 28 * 28
IMAGE_TOKENS = {
    "qwen2_vl": "<|image_pad|>",
    "idefics3": "<image>",
    "internvl": "<IMG_CONTEXT>",
    "llava_next": "<image>",
}


@pytest.mark.parametrize(
    ("family", "num_by_pixels"),
    [
        # A token for every 28 x 28. 112 x 56 has 8 times as many pixels; the checkpoint itself
        # keeps 6 at most: sides shrink by sqrt(8 / 6) to 97 and 48, rounded down to 84 and 28.
        # For 4, by sqrt(2) to 79 and 39, 56 and 28; for 1, by sqrt(8) to 39 and 19, 28 at least.
        ("qwen2_vl", {None: 3, 4 * TILE: 2, TILE: 1}),
        # Stretched to 56 x 28: two tiles and the whole, a token each; or to 28: the whole alone.
        ("idefics3", {None: 3, 4 * TILE: 3, 3 * TILE: 1, TILE: 1}),
        # Two tiles and the whole, or the whole alone.
        ("internvl", {None: 3, 2 * TILE: 3, TILE: 1}),
        # 2 x 2 tokens of the whole; 2 tiles side by side are 2 x 4 and a token at each line's end;
        # in 2 x 2 tiles the picture fills 2 lines of 4, in one above the other 1 line of 2.
        ("llava_next", {None: 14, 2 * TILE: 14}),
    ],
)
def test_fewer_pixels_are_fewer_visual_tokens(
    family: str, num_by_pixels: dict[int | None, int], tiny_folder: Callable[[str], Path]
) -> None:
    example = asked("<image>\nWhat color?", "red", picture(112, 56))
    for max_pixels, num_expected in num_by_pixels.items():
        settings = settings_of(tiny_folder(family), max_picture_pixels=max_pixels)
        model, processor = load_hub(settings, CPU)
        image_id = processor.tokenizer.convert_tokens_to_ids(IMAGE_TOKENS[family])
        batch = processor.training_batch([example])
        num_tokens = batch["input_ids"][0].tolist().count(image_id)
        assert num_tokens == num_expected, max_pixels
        with torch.no_grad():
            assert torch.isfinite(model(**batch).loss)


def test_llava_next_keeps_the_grids_that_are_small_enough(
    tiny_folder: Callable[[str], Path],
) -> None:
    """A square picture takes 2 x 2 tiles: 4 x 4 tokens and 4 line ends besides the whole's 4."""
    example = asked("<image>\nWhat color?", "red", picture(56, 56))
    nums = []
    for max_pixels in (None, 2 * TILE):
        settings = settings_of(tiny_folder("llava_next"), max_picture_pixels=max_pixels)
        model, processor = load_hub(settings, CPU)
        batch = processor.training_batch([example])
        image_id = processor.tokenizer.convert_tokens_to_ids("<image>")
        nums.append(batch["input_ids"][0].tolist().count(image_id))
        with torch.no_grad():
            assert torch.isfinite(model(**batch).loss)
    assert nums == [24, 10]


@pytest.mark.parametrize("family", ["llava", "paligemma"])
def test_a_limit_without_effect_is_refused(family: str, tiny_folder: Callable[[str], Path]) -> None:
    settings = settings_of(tiny_folder(family), max_picture_pixels=TILE)
    with pytest.raises(ValueError, match=rf"must have an effect, got it for model_type '{family}'"):
        load_hub(settings, CPU)


def test_a_limit_below_the_least_is_refused(tiny_folder: Callable[[str], Path]) -> None:
    settings = settings_of(tiny_folder("llava_next"), max_picture_pixels=2 * TILE - 1)
    with pytest.raises(ValueError, match=r"smallest grid of 28 x 56 = 1,568 pixels, got 1,567"):
        load_hub(settings, CPU)
