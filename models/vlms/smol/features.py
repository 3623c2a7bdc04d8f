"""What the frozen vision tower makes of pictures, computed once per picture and kept on disk.

Shape letters: P pictures, V visual tokens, D vision width, C H W channels and pixels.
"""

import hashlib
import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

BATCH_PICTURES = 32
"""Through the tower at once: 32 pictures of 192 px need about 0.3 GB."""


class FeatureCache:
    """Pooled features by the content of a picture.

    Args:
        encode: Pixels (P, C, H, W) to features (P, V, D).
        image_size_px: Side that pictures are resized to.
        folder: Where features are kept; must be of this encoder alone.
    """

    def __init__(
        self, encode: Callable[[Tensor], Tensor], image_size_px: int, folder: Path
    ) -> None:
        self._encode = encode
        self._image_size_px = image_size_px
        self._folder = folder

    def __call__(self, pictures: Sequence[Image.Image]) -> Tensor:
        """Features of the pictures in their order, (P, V, D), float32 on the CPU."""
        arrays = [self._square(picture) for picture in pictures]
        keys = [hashlib.sha256(array.tobytes()).hexdigest() for array in arrays]
        kept = {key: self._read(key) for key in set(keys)}
        missing = {k: array for k, array in zip(keys, arrays, strict=True) if kept[k] is None}
        for start in range(0, len(missing), BATCH_PICTURES):
            batch = list(missing.items())[start : start + BATCH_PICTURES]
            pixels = torch.from_numpy(np.stack([array for _, array in batch]))
            # As the published weights were trained (TensorFlow Lite): (x - 127) / 128.
            scaled_PCHW = (pixels.permute(0, 3, 1, 2).float() - 127.0) / 128.0
            for (key, _), features_VD in zip(batch, self._encode(scaled_PCHW).cpu(), strict=True):
                kept[key] = features_VD.float()
                self._write(key, features_VD.float())
        return torch.stack([features_VD for key in keys if (features_VD := kept[key]) is not None])

    def _square(self, picture: Image.Image) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
        """The whole picture at the tower's size, its sides to scale with white beside it."""
        size = self._image_size_px
        if picture.size == (size, size):
            return np.asarray(picture.convert("RGB"))
        fitted = picture.convert("RGB")
        factor = size / max(fitted.size)
        width, height = (max(1, round(side * factor)) for side in fitted.size)
        square = Image.new("RGB", (size, size), "white")
        resized = fitted.resize((width, height), Image.Resampling.BICUBIC)
        square.paste(resized, ((size - width) // 2, (size - height) // 2))
        return np.asarray(square)

    def _read(self, key: str) -> Tensor | None:
        """What lies on disk; a file cut short does not count."""
        try:
            return torch.from_numpy(np.load(self._path(key), allow_pickle=False))
        except (OSError, ValueError, EOFError):
            return None

    def _write(self, key: str, features_VD: Tensor) -> None:
        path = self._path(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
            np.save(file, features_VD.numpy(), allow_pickle=False)
        os.replace(file.name, path)  # noqa: PTH105 - runs side by side see all of a file or none

    def _path(self, key: str) -> Path:
        return self._folder / key[:2] / f"{key}.npy"
