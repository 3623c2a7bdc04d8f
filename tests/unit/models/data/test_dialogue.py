"""Turns, pictures and the rules that hold for every example."""

import struct
import warnings
import zlib
from contextlib import suppress
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from rankscope.models.data.dialogue import Example, Picture, Role, Turn, Unfit
from tests.unit.models.data.files.made import photo


def dialogue(*roles: Role, text: str = "words", pictures: int = 0) -> Example:
    return Example(
        "key",
        1,
        tuple(Picture(f"{index}.png", b"") for index in range(pictures)),
        tuple(Turn(role, text) for role in roles),
    )


@pytest.mark.parametrize(
    "roles",
    [
        ("user", "assistant"),
        ("system", "user", "assistant"),
        ("user", "assistant", "user", "assistant"),
        ("user", "assistant", "tool", "assistant"),
        ("user", "assistant", "tool", "tool", "assistant", "user", "assistant"),
    ],
)
def test_turns_in_a_sensible_order_are_taken(roles: tuple[Role, ...]) -> None:
    assert len(dialogue(*roles).turns) == len(roles)


@pytest.mark.parametrize(
    ("roles", "found"),
    [
        ((), "no turn"),
        (("assistant",), "assistant first"),
        (("tool", "assistant"), "tool first"),
        (("user",), "got user; add the answer"),
        (("system", "assistant"), "assistant after system"),
        (("user", "user", "assistant"), "user after user"),
        (("user", "assistant", "assistant"), "assistant after assistant"),
        (("user", "assistant", "system", "user", "assistant"), "system after assistant"),
        (("user", "assistant", "tool", "user", "assistant"), "user after tool"),
        (("user", "assistant", "tool"), "got tool; add the answer"),
    ],
)
def test_turns_in_another_order_are_refused(roles: tuple[Role, ...], found: str) -> None:
    with pytest.raises(Unfit, match=found):
        dialogue(*roles)


def test_a_picture_may_come_with_the_user_and_with_a_tool() -> None:
    turns = (
        Turn("user", "<image>Zoom in."),
        Turn("assistant", "zoom()"),
        Turn("tool", "<image>"),
        Turn("assistant", "A cat."),
    )
    pictures = (Picture("far.png", b""), Picture("near.png", b""))
    assert Example("key", 1, pictures, turns).num_chars == 15 + 6 + 7 + 6


@pytest.mark.parametrize(("num_markers", "num_pictures"), [(0, 1), (1, 0), (2, 1), (1, 2)])
def test_markers_and_pictures_must_be_as_many(num_markers: int, num_pictures: int) -> None:
    turns = (Turn("user", "Look. " + "<image>" * num_markers), Turn("assistant", "Yes."))
    pictures = (Picture("a.png", b""),) * num_pictures
    with pytest.raises(Unfit, match=f"got {num_markers} for {num_pictures} pictures; write <image"):
        Example("key", 1, pictures, turns)


@pytest.mark.parametrize("role", ["system", "assistant"])
def test_a_marker_elsewhere_is_refused(role: Role) -> None:
    words = {"system": "Be brief.", "user": "Hello.", "assistant": "Hi."}
    words[role] += "<image>"
    turns = (
        Turn("system", words["system"]),
        Turn("user", words["user"]),
        Turn("assistant", words["assistant"]),
    )
    with pytest.raises(Unfit, match=f"got one in a turn of the {role}"):
        Example("key", 1, (Picture("a.png", b""),), turns)


def test_a_turn_without_text_is_refused_but_a_tool_may_be_silent() -> None:
    assert not Turn("tool", "").text
    with pytest.raises(Unfit, match="must have text, got none from the assistant; write it"):
        Turn("assistant", " \n")


def test_half_a_character_is_refused() -> None:
    assert Turn("user", "whole: \N{GRINNING FACE}").text
    with pytest.raises(Unfit, match="whole Unicode characters"):
        Turn("user", "half: \ud83d")


def test_a_picture_is_rgb_whatever_it_was() -> None:
    for mode in ("1", "L", "LA", "P", "RGBA", "CMYK", "I;16"):
        encoded = BytesIO()
        Image.new(mode, (2, 2)).save(encoded, "TIFF" if mode == "CMYK" else "PNG")
        picture = Picture("a", encoded.getvalue())
        assert (picture.open().mode, picture.check()) == ("RGB", (2, 2))


def test_16_bit_grey_is_scaled_and_not_cut() -> None:
    """25,700 of 65,535 is 100 of 255: 25,700 / 256 = 100.4."""
    encoded = BytesIO()
    Image.fromarray(np.full((2, 2), 25_700, dtype=np.uint16)).save(encoded, "PNG")
    assert Picture("a", encoded.getvalue()).open().getpixel((0, 0)) == (100, 100, 100)


def test_a_palette_with_transparency_opens_without_a_warning() -> None:
    encoded = BytesIO()
    shown = Image.new("P", (2, 2), 1)
    shown.putpalette([0, 0, 0, 200, 10, 10])
    shown.save(encoded, "PNG", transparency=b"\x00\xff")
    assert Picture("a", encoded.getvalue()).open().getpixel((0, 0)) == (200, 10, 10)


def test_32_bit_pictures_are_refused_by_test_and_opening_alike() -> None:
    encoded = BytesIO()
    Image.new("F", (2, 2)).save(encoded, "TIFF")
    picture = Picture("depth.tif", encoded.getvalue())
    for look in (picture.open, picture.check):
        with pytest.raises(Unfit, match=r"8 or 16 bits a channel, got depth.tif: mode F; save it"):
            look()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_is_turned_upright(orientation: int) -> None:
    """Of a red left half and a blue right one, 6 x 4 px, stored turned; 5 to 8 lie on a side."""
    upright = Image.new("RGB", (6, 4), "blue")
    upright.paste("red", (0, 0, 3, 4))
    turns = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    stored = upright.transpose(turns[orientation]) if orientation > 1 else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    encoded = BytesIO()
    stored.save(encoded, "PNG", exif=exif)
    picture = Picture("a", encoded.getvalue())
    assert picture.check() == (6, 4)
    opened = picture.open()
    assert opened.size == (6, 4)
    assert (opened.getpixel((0, 0)), opened.getpixel((5, 3))) == ((255, 0, 0), (0, 0, 255))


def test_a_missing_picture_is_named_with_its_place(tmp_path: Path) -> None:
    picture = Picture("cats/1.jpg", tmp_path / "1.jpg", "train.json row 7")
    for look in (picture.open, picture.check, picture.digest):
        with pytest.raises(
            Unfit, match=r"^train.json row 7: a picture must exist, got cats/1.jpg; check the image"
        ):
            look()


@pytest.mark.parametrize("content", [b"", b"no picture", b"%!PS-Adobe-3.0 EPSF-3.0\n", b"<svg/>"])
def test_what_is_no_picture_is_refused(content: bytes) -> None:
    with pytest.raises(Unfit, match=r"must be one of JPEG, PNG, .*, got a.eps; save it anew"):
        Picture("a.eps", content).open()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"])
def test_a_truncated_picture_is_refused_by_test_and_opening_alike(kind: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    encoded = BytesIO()
    Image.fromarray(noise).save(encoded, kind)
    whole = encoded.getvalue()
    assert Picture("a", whole).check() == (60, 40)
    for share in (0.3, 0.6, 0.9):
        picture = Picture("a.bin", whole[: int(len(whole) * share)], "rows.csv row 2")
        for look in (picture.open, picture.check):
            with pytest.raises(Unfit, match=r"^rows.csv row 2: .*a\.bin"):
                look()


def bomb(side: int) -> bytes:
    """A PNG that says it is very large, and holds one pixel."""
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    encoded = b"\x89PNG\r\n\x1a\n"
    for name, content in ((b"IHDR", header), (b"IDAT", zlib.compress(b"\0\0\0\0"))):
        checksum = struct.pack(">I", zlib.crc32(name + content))
        encoded += struct.pack(">I", len(content)) + name + content + checksum
    return encoded


@pytest.mark.parametrize("side", [1_001, 10_000, 60_000])
def test_a_picture_bomb_is_refused_before_it_is_decoded(side: int) -> None:
    """Pillow itself warns from 89 million pixels and raises from 179 million."""
    picture = Picture("bomb.png", bomb(side), max_pixels=1_000_000)
    for look in (picture.open, picture.check):
        with pytest.raises(Unfit, match=r"must not exceed 1,000,000 pixels, got bomb.png: "):
            look()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # as outside tests
        with pytest.raises(Unfit, match=r"must not exceed 1,000,000 pixels, got bomb.png: "):
            picture.open()


def test_a_link_put_in_a_pictures_place_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret.png").write_bytes(photo())
    path = tmp_path / "a.png"
    path.write_bytes(photo())
    picture = Picture("a.png", path)
    assert picture.check() == (4, 3)
    path.unlink()
    path.symlink_to(tmp_path / "secret.png")
    for look in (picture.open, picture.digest):
        with pytest.raises(Unfit, match="whole and readable"):
            look()


def test_equal_bytes_have_one_digest_wherever_they_lie(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(photo())
    from_file = Picture("a.png", tmp_path / "a.png").digest()
    assert from_file == Picture("b.png", photo()).digest() != Picture("c", photo("blue")).digest()


@settings(deadline=None)
@given(st.binary(max_size=200), st.integers(0, 300))
def test_no_damage_makes_a_picture_raise_anything_else(noise: bytes, place: int) -> None:
    for whole in (WHOLE_JPEG, WHOLE_PNG, WHOLE_GIF):
        at = min(place, len(whole))
        picture = Picture("a", whole[:at] + noise + whole[at + len(noise) :])
        for look in (picture.open, picture.check):
            with suppress(Unfit):
                look()


WHOLE_JPEG, WHOLE_PNG, WHOLE_GIF = (photo(size=(16, 16), kind=k) for k in ("JPEG", "PNG", "GIF"))
