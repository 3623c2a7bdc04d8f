"""Pictures: only usual formats, only so many pixels."""

import struct
import zlib
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from rankscope.models.benchmarks.pictures import MAX_PIXELS, open_picture


def png_of(width: int, height: int) -> bytes:
    """The head of a picture that would need width * height bytes, and not a pixel."""
    head = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    body = b"IDAT" + zlib.compress(b"")
    chunks = (
        struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
        for chunk in (head, body, b"IEND")
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def test_a_picture_comes_in_rgb_from_file_and_bytes(tmp_path: Path) -> None:
    path = tmp_path / "gray.png"
    Image.new("L", (5, 4), 7).save(path)
    for source in (path, path.read_bytes()):
        opened = open_picture(source, "item 1")
        assert (opened.mode, opened.size, opened.getpixel((0, 0))) == ("RGB", (5, 4), (7, 7, 7))


@pytest.mark.parametrize("side", [8_000, 10_000, 60_000])
def test_too_many_pixels_are_refused_before_they_are_read(side: int) -> None:
    """More than our limit, more than PIL warns of, more than PIL opens."""
    assert side**2 > MAX_PIXELS
    with pytest.raises(ValueError, match="item 1: a picture must have at most 50,000,000 pixels"):
        open_picture(png_of(side, side), "item 1")


def test_what_is_no_picture_or_cut_off_is_refused(tmp_path: Path) -> None:
    whole = BytesIO()
    Image.effect_noise((64, 64), 50).save(whole, "PNG")
    eps = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n"
    for content in (b"", b"not a picture", whole.getvalue()[:500], png_of(4, 4), eps):
        with pytest.raises(ValueError, match=r"item 1: must be a picture \(BMP, GIF, JPEG"):
            open_picture(content, "item 1")
    with pytest.raises(ValueError, match="item 1: must be a picture"):
        open_picture(tmp_path / "absent.png", "item 1")
