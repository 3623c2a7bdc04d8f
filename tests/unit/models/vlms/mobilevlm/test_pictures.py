"""Pictures on their way to CLIP."""

import pytest
import torch
from PIL import Image

from rankscope.models.vlms.mobilevlm.pictures import (
    CLIP_MEAN_RGB,
    MAX_SIDE_PX,
    ClipPictures,
    bounded,
    padded_square,
)
from tests.unit.models.vlms.mobilevlm.tiny import picture


def test_the_border_has_clips_mean_color() -> None:
    """255 x (0.48145466, 0.4578275, 0.40821073) = (122.8, 116.7, 104.1), rounded down."""
    assert CLIP_MEAN_RGB == (122, 116, 104)


@pytest.mark.parametrize(
    ("size", "red_box"), [((4, 1), (0, 1, 4, 2)), ((1, 4), (1, 0, 2, 4)), ((3, 3), (0, 0, 3, 3))]
)
def test_a_picture_lies_in_the_middle_of_its_square(
    size: tuple[int, int], red_box: tuple[int, int, int, int]
) -> None:
    """The odd row goes below: (4 - 1) // 2 = 1 above, 2 below."""
    square = padded_square(picture(*size))
    assert square.size == (max(size), max(size))
    expected = Image.new("RGB", square.size, CLIP_MEAN_RGB)
    expected.paste((255, 0, 0), red_box)
    assert square.tobytes() == expected.tobytes()


def test_pixels_are_normalised_as_clip_wants() -> None:
    """Red 255: (1 - 0.48145466) / 0.26862954 = 1.9303, green 0: -0.4578275 / 0.26130258 = -1.7521.

    The border is (122 / 255 - 0.48145466) / 0.26862954 = -0.0113 in red.
    """
    pixels = ClipPictures(4)([picture(4, 2)])
    assert pixels.shape == (1, 3, 4, 4)
    assert pixels.dtype == torch.float32
    assert pixels[0, :2, 1, 1].tolist() == pytest.approx([1.9303, -1.7521], abs=1e-4)
    assert pixels[0, 0, 0, 0].item() == pytest.approx(-0.0113, abs=1e-4)


def test_cropping_leaves_no_border() -> None:
    pixels = ClipPictures(4, "crop")([picture(8, 4), picture(4, 9)])
    assert pixels.shape == (2, 3, 4, 4)
    assert pixels[:, 0].flatten().tolist() == pytest.approx([1.9303] * 32, abs=1e-4)


@pytest.mark.parametrize("mode", ["L", "LA", "P", "RGBA", "CMYK", "1"])
def test_pictures_of_any_mode_are_taken(mode: str) -> None:
    assert ClipPictures(4)([picture(4, 4).convert(mode)]).shape == (1, 3, 4, 4)


def test_a_long_strip_is_shrunk_before_it_is_padded() -> None:
    """A quarter of 16,384 x 2 px is 4,096 x 0.5; nothing gets narrower than a pixel."""
    assert bounded(picture(4 * MAX_SIDE_PX, 2)).size == (MAX_SIDE_PX, 1)
    assert bounded(picture(MAX_SIDE_PX, 2)).size == (MAX_SIDE_PX, 2)
