"""Tiny packages of pictures in the layout of the published ones, with their own hash."""

import hashlib
import io
import json
import tarfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from rankscope.models.data import emoji_cifar10
from rankscope.models.data.emoji_cifar10 import CIFAR10
from rankscope.models.data.emoji_fluent import FLUENT
from rankscope.models.data.emoji_packages import PicturePackage
from rankscope.models.data.emoji_twemoji import THINGS, twemoji

PHOTOS_OF_A_THING = 16


def tiny_fluent(folder: Path) -> tuple[PicturePackage, Path]:
    """Every emoji of Twemoji's but three, one colour for each thing, and what nobody needs."""
    content = {thing: _webp(place) for place, thing in enumerate(THINGS)}
    sources = twemoji().sources[:-3]
    members = {f"package/assets/{s.key.lower()}.webp": content[s.thing] for s in sources}
    others = {"package/package.json": b"{}", "package/assets/1f3f4-e0067_e0062.webp": b"no emoji"}
    return packed(replace(FLUENT, num_files=len(members)), members | others, folder)


def tiny_cifar10(folder: Path) -> tuple[PicturePackage, Path]:
    """Sixteen photos of every thing on either sheet; red tells the thing, green which of them."""
    numbers = list(range(len(emoji_cifar10.THINGS))) * PHOTOS_OF_A_THING
    photos_NHWC = np.zeros((len(numbers), 32, 32, 3), dtype=np.uint8)
    photos_NHWC[..., 0] = np.array(numbers)[:, None, None] * 20
    photos_NHWC[..., 1] = np.arange(len(numbers))[:, None, None]
    members: dict[str, bytes] = {}
    for blue, sheet in enumerate(("data_batch_1", "test_batch")):
        photos_NHWC[..., 2] = 200 * blue
        buffer = io.BytesIO()
        Image.fromarray(photos_NHWC.reshape(len(numbers), -1, 3)).save(buffer, "PNG")
        members[f"package/{sheet}.png"] = buffer.getvalue()
    members["package/train_lables.json"] = json.dumps(numbers * 5).encode()  # of five sheets
    members["package/test_lables.json"] = json.dumps(numbers).encode()
    members["package/index.bundle.js"] = b"process.exit(1)"
    return packed(CIFAR10, members, folder)


def packed(
    package: PicturePackage, members: Mapping[str, bytes | tarfile.TarInfo], folder: Path
) -> tuple[PicturePackage, Path]:
    """A tarball of the members, or of headers that stand for themselves, and its package."""
    tarball = folder / f"{package.name}.tgz"
    with tarfile.open(tarball, "w:gz") as archive:
        for name, content in members.items():
            if isinstance(content, tarfile.TarInfo):
                archive.addfile(content)
                continue
            header = tarfile.TarInfo(name)
            header.size = len(content)
            archive.addfile(header, io.BytesIO(content))
    return replace(package, sha256=hashlib.sha256(tarball.read_bytes()).hexdigest()), tarball


def _webp(number: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGBA", (8, 8), (20 * number, 100, 0, 255)).save(buffer, "WEBP", lossless=True)
    return buffer.getvalue()
