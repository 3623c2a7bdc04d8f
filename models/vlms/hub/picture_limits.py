"""How many pixels of a picture each family keeps: the setting that decides on visual tokens."""

import math
from typing import Any, Protocol

from transformers import PreTrainedConfig


class _Areas(Protocol):
    patch_size: int
    merge_size: int
    size: Any


class _Sides(Protocol):
    max_image_size: Any
    size: Any


class _Tiles(Protocol):
    min_patches: int
    max_patches: int
    size: Any


class _Grids(Protocol):
    image_grid_pinpoints: list[list[int]]


def limit_areas(pictures: _Areas, _: PreTrainedConfig, max_pixels: int) -> None:
    """Qwen2-VL and Qwen2.5-VL: pictures keep their shape and are shrunk to an area."""
    side = pictures.patch_size * pictures.merge_size
    _check(max_pixels, side * side, f"one visual token of {side} x {side}")
    least = min(pictures.size["shortest_edge"], max_pixels)
    pictures.size = type(pictures.size)(shortest_edge=least, longest_edge=max_pixels)


def limit_longest_side(pictures: _Sides, _: PreTrainedConfig, max_pixels: int) -> None:
    """Idefics3 and SmolVLM: pictures are stretched to a longest side, then cut into tiles."""
    tile = pictures.max_image_size["longest_edge"]
    _check(max_pixels, tile * tile, f"one tile of {tile} x {tile}")
    side = min(pictures.size["longest_edge"], math.isqrt(max_pixels) // tile * tile)
    pictures.size = type(pictures.size)(longest_edge=side)


def limit_tiles(pictures: _Tiles, _: PreTrainedConfig, max_pixels: int) -> None:
    """InternVL: pictures are stretched over a number of tiles; one of the whole comes on top."""
    height, width = pictures.size["height"], pictures.size["width"]
    _check(max_pixels, height * width, f"one tile of {height} x {width}")
    pictures.max_patches = min(pictures.max_patches, max_pixels // (height * width))
    pictures.min_patches = min(pictures.min_patches, pictures.max_patches)


def limit_grids(pictures: _Grids, config: PreTrainedConfig, max_pixels: int) -> None:
    """LLaVA-NeXT: pictures are fitted into one of several grids of tiles, which the model knows."""
    grids = [list(grid) for grid in pictures.image_grid_pinpoints]
    height, width = min(grids, key=math.prod)
    _check(max_pixels, height * width, f"the smallest grid of {height} x {width}")
    pictures.image_grid_pinpoints = [grid for grid in grids if math.prod(grid) <= max_pixels]
    config.update({"image_grid_pinpoints": pictures.image_grid_pinpoints})


def _check(max_pixels: int, least: int, what: str) -> None:
    if max_pixels < least:
        raise ValueError(
            f"max_picture_pixels must be enough for {what} = {least:,} pixels, got {max_pixels:,}; "
            "raise it or leave it out"
        )
