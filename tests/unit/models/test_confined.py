"""A folder that nothing named by data can leave."""

import os
from pathlib import Path

import pytest

from rankscope.models.confined import Folder
from rankscope.models.data.dialogue import Unfit
from tests.unit.models.data.files.made import put


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    put(tmp_path, "secret.txt", "secret")
    put(tmp_path, "data/in/a.png", "a")
    return Folder.at(tmp_path / "data")


def test_files_and_folders_below_are_found(folder: Folder) -> None:
    assert folder.file("in/a.png").read_text() == "a"
    assert folder.file("./in//a.png") == folder.file("in/a.png")
    inner = folder.folder("in")
    assert inner.file("a.png") == folder.file("in/a.png")
    assert (folder.folder(""), inner.name) == (folder, "in")
    assert folder.has_folder("in")
    assert not folder.has_folder("in/a.png")


@pytest.mark.parametrize(
    "name",
    [
        "../secret.txt",
        "in/../../secret.txt",
        "in/..",
        "..",
        "",
        ".",
        "/etc/passwd",
        "//host/share/a.png",
        "C:\\secret.txt",
        "a\0.png",
    ],
)
def test_a_name_that_leads_out_is_refused(folder: Folder, name: str) -> None:
    for find in (folder.file, folder.folder):
        if name or find == folder.file:
            with pytest.raises(Unfit, match=r"must be relative and stay below its folder, got .*;"):
                find(name)


@pytest.mark.parametrize("name", ["http://a.b/c.png", "file:///etc/passwd", "s3://a/b.png"])
def test_an_address_is_refused(folder: Folder, name: str) -> None:
    with pytest.raises(Unfit, match=r"must name a file on this machine, got .*; download it"):
        folder.file(name)


def test_a_link_anywhere_on_the_way_is_refused(folder: Folder, tmp_path: Path) -> None:
    (folder.path / "out").symlink_to(tmp_path)
    (folder.path / "in" / "b.png").symlink_to(tmp_path / "secret.txt")
    (folder.path / "in" / "c.png").symlink_to(folder.path / "in" / "a.png")
    (folder.path / "dangling").symlink_to("nowhere")
    for name in ("out/secret.txt", "in/b.png", "in/c.png", "dangling"):
        with pytest.raises(Unfit, match="must not go over symbolic links, got "):
            folder.file(name)
    with pytest.raises(Unfit, match="must not go over symbolic links, got 'out'; put the file"):
        folder.folder("out")


def test_the_operators_own_folder_may_be_a_link(folder: Folder, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(folder.path)
    assert Folder.at(tmp_path / "link").file("in/a.png").read_text() == "a"
    with pytest.raises(Unfit, match=r"must be there, got .*/none; create"):
        Folder.at(tmp_path / "none")


def test_what_is_missing_or_no_file_is_named(folder: Folder) -> None:
    for name in ("in/b.png", "in/a.png/x", "on/a.png"):
        with pytest.raises(Unfit, match=f"must exist, got '{name}'; put it into"):
            folder.file(name)
    with pytest.raises(Unfit, match="must name a regular file, got 'in'"):
        folder.file("in")
    with pytest.raises(Unfit, match=r"must name a folder, got 'in/a\.png'"):
        folder.folder("in/a.png")
    with pytest.raises(Unfit, match="must be readable, got File name too long: 'aaa"):
        folder.file("a" * 5_000)


def test_a_pipe_is_not_waited_for(folder: Folder) -> None:
    os.mkfifo(folder.path / "pipe.png")
    with pytest.raises(Unfit, match=r"must name a regular file, got 'pipe\.png'"):
        folder.file("pipe.png")
