"""Finding the pictures of rows."""

import base64
from pathlib import Path

import pytest

from rankscope.models.confined import Folder
from rankscope.models.data.dialogue import Unfit
from rankscope.models.data.files.pictures import Gallery
from rankscope.models.data.files.settings import Limits
from tests.unit.models.data.files.made import photo, put


@pytest.fixture
def gallery(tmp_path: Path) -> Gallery:
    put(tmp_path, "a.png", photo())
    return Gallery(Folder.at(tmp_path), Limits(max_pixels=12, max_picture_bytes=500))


def test_a_picture_may_be_a_path_bytes_base64_or_bytes_beside_a_path(gallery: Gallery) -> None:
    uri = "data:image/png;base64," + base64.b64encode(photo()).decode()
    cells = ["a.png", photo(), uri, {"bytes": photo(), "path": None}, {"path": "a.png"}]
    cells += [{"bytes": None, "path": "a.png"}, {"bytes": photo(), "path": "far/away.png"}]
    pictures = [gallery.find(cell, "t.json row 1") for cell in cells]
    assert len({picture.digest() for picture in pictures}) == 1
    inside = "picture in the row"
    assert [picture.name for picture in pictures] == [
        *["a.png", inside, inside, inside, "a.png", "a.png", "far/away.png"]
    ]
    assert {picture.where for picture in pictures} == {"t.json row 1"}


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        (7, "must be a path, bytes, or a mapping of both, got 7; write one"),
        ({}, "or a mapping of both, got dict of 0"),
        ({"bytes": None, "path": None}, "or a mapping of both"),
        ({"bytes": "text"}, "or a mapping of both"),
        ("../a.png", "must be relative and stay below its folder, got '../a.png'"),
        ({"path": "/etc/passwd"}, "must be relative and stay below its folder"),
        ("https://a.b/c.png", "must name a file on this machine"),
        ("data:image/svg+xml,<svg/>", r"must be in base64, got 'data:image/svg\+xml'"),
        ("data:image/png;base64,a*b", "base64 must be whole, got .*; encode the picture anew"),
        (b"x" * 501, "must not exceed 500 bytes, got picture in the row: 501; shrink it or raise"),
    ],
)
def test_what_is_no_picture_is_refused(gallery: Gallery, cell: object, message: str) -> None:
    with pytest.raises(Unfit, match=message):
        gallery.find(cell, "t.json row 1")


def test_a_picture_keeps_the_limit_on_pixels(gallery: Gallery, tmp_path: Path) -> None:
    put(tmp_path, "b.png", photo(size=(13, 1)))
    assert gallery.find("a.png", "").check() == (4, 3)
    with pytest.raises(Unfit, match=r"must not exceed 12 pixels, got b\.png: 13 x 1 pixels"):
        gallery.find("b.png", "").check()


def test_a_file_that_is_too_large_is_refused_before_it_is_opened(
    gallery: Gallery, tmp_path: Path
) -> None:
    put(tmp_path, "big.png", b"x" * 501)
    with pytest.raises(Unfit, match=r"must not exceed 500 bytes, got big\.png: 501"):
        gallery.find("big.png", "")


def test_without_a_folder_pictures_must_lie_in_the_rows() -> None:
    with pytest.raises(Unfit, match=r"of the hub must lie in its rows, got 'a\.png'; download"):
        Gallery(None, Limits()).find("a.png", "")
