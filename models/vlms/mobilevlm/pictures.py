"""Pictures as CLIP takes them.

Shape letters: P pictures, C H W channels and pixels.
"""

from collections.abc import Sequence
from typing import Literal

import torch
from PIL import Image
from torch import Tensor
from transformers import CLIPImageProcessorPil

Framing = Literal["pad", "crop"]
"""``pad`` keeps the whole picture, ``crop`` its middle square. MobileVLM pads everywhere but in its
evaluation on ScienceQA."""

CLIP_MEAN_RGB = (122, 116, 104)
"""255 times CLIP's mean, rounded down: after normalisation such a border is nearly zero."""

MAX_SIDE_PX = 4096
"""A longer side is shrunk to it first: a strip of 1 x 100,000 px would be padded to 30 GB."""


class ClipPictures:
    """From pictures of any size and mode to CLIP's normalised squares."""

    def __init__(self, image_size_px: int, framing: Framing = "pad") -> None:
        self.framing = framing
        self._processor = CLIPImageProcessorPil(
            size={"shortest_edge": image_size_px},
            crop_size={"height": image_size_px, "width": image_size_px},
        )

    def __call__(self, pictures: Sequence[Image.Image]) -> Tensor:
        """Pixels of shape (P, C, H, W), float32."""
        framed = [bounded(picture.convert("RGB")) for picture in pictures]
        if self.framing == "pad":
            framed = [padded_square(picture) for picture in framed]
        pixels: Tensor = self._processor(framed, return_tensors="pt")["pixel_values"]
        return pixels.to(torch.float32)


def padded_square(picture: Image.Image) -> Image.Image:
    """The picture in the middle of a square of CLIP's mean colour; the odd pixel goes after it."""
    width, height = picture.size
    side = max(width, height)
    if width == height:
        return picture
    square = Image.new("RGB", (side, side), CLIP_MEAN_RGB)
    square.paste(picture, ((side - width) // 2, (side - height) // 2))
    return square


def bounded(picture: Image.Image) -> Image.Image:
    """The picture, shrunk if its longer side exceeds ``MAX_SIDE_PX``."""
    factor = MAX_SIDE_PX / max(picture.size)
    if factor >= 1:
        return picture
    width, height = (max(1, round(side * factor)) for side in picture.size)
    return picture.resize((width, height), Image.Resampling.BOX)
