"""Features of pictures: computed once, kept on disk."""

from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from rankscope.models.vlms.smol.features import FeatureCache
from tests.unit.models.vlms.smol.tiny import pixels_of


class Counting:
    """The mean shade, and how many pictures were asked for."""

    def __init__(self) -> None:
        self.num_pictures = 0

    def __call__(self, pixels_PCHW: Tensor) -> Tensor:
        self.num_pictures += len(pixels_PCHW)
        return pixels_PCHW.mean((1, 2, 3)).reshape(-1, 1, 1)


def test_a_picture_goes_through_the_tower_once(tmp_path: Path) -> None:
    """(10 - 127) / 128 and (200 - 127) / 128."""
    encode = Counting()
    cache = FeatureCache(encode, 32, tmp_path)
    features = cache(pixels_of([10, 200, 10]))
    assert features.flatten().tolist() == [-0.9140625, 0.5703125, -0.9140625]
    cache(pixels_of([200]))
    assert encode.num_pictures == 2
    another = FeatureCache(encode, 32, tmp_path)
    assert another(pixels_of([200])).item() == 0.5703125
    assert encode.num_pictures == 2


def test_a_damaged_file_is_made_anew(tmp_path: Path) -> None:
    encode = Counting()
    FeatureCache(encode, 32, tmp_path)(pixels_of([10]))
    (file,) = tmp_path.rglob("*.npy")
    file.write_bytes(file.read_bytes()[:20])
    assert FeatureCache(encode, 32, tmp_path)(pixels_of([10])).item() == -0.9140625
    assert encode.num_pictures == 2
    assert [found.suffix for found in tmp_path.rglob("*") if found.is_file()] == [".npy"]


def test_pictures_of_another_shape_are_fitted_whole_on_white(tmp_path: Path) -> None:
    """A black picture of 64 x 32 becomes the middle half of the square."""
    cache = FeatureCache(lambda x: x.mean(1).reshape(len(x), 32, 32), 32, tmp_path)
    rows = cache([Image.new("RGB", (64, 32))])[0]
    assert torch.equal(rows[:8], torch.ones(8, 32))
    assert float(rows[8:24].max()) < -0.9
