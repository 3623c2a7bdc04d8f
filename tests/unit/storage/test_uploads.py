"""Files that people send: where they may land, what they must hold, and that none is replaced."""

from pathlib import Path, PurePosixPath

import pytest

from rankscope.models.data.dialogue import Unfit
from rankscope.storage.uploads import Uploads, UploadTaken, safe_path
from tests.unit.models.data.files.made import photo


def send(folder: Path, name: str, *chunks: bytes, max_bytes: int = 10**6) -> str:
    with Uploads(folder / "data", max_bytes).receiving(name) as arriving:
        for chunk in chunks:
            arriving.write(chunk)
        return arriving.keep()


def left_in(folder: Path) -> list[str]:
    root = folder / "data"
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("rows.json", "uploads/rows.json"),
        ("set one/Größe 1.PNG", "uploads/set one/Größe 1.PNG"),
        ("a\\b\\c.csv", "uploads/a/b/c.csv"),
        ("/etc/rows.jsonl", "uploads/etc/rows.jsonl"),
        ('.hidden/<b>"x".csv', "uploads/hidden/_b__x_.csv"),
        ("line\nbreak.json", "uploads/line_break.json"),
        (f"{'x' * 300}.parquet", f"uploads/{'x' * 112}.parquet"),
    ],
)
def test_names_are_made_safe_and_stay_below_one_folder(name: str, path: str) -> None:
    assert safe_path(name) == PurePosixPath(path)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("../rows.json", "none of them .."),
        ("a/../../rows.json", "none of them .."),
        ("", "1 to 4 steps"),
        ("a/b/c/d/rows.json", "1 to 4 steps"),
        ("pictures.zip", "unpack archives"),
        ("run.py", "must end with one of"),
        (".json", "must end with one of"),
    ],
)
def test_names_that_lead_elsewhere_or_are_of_no_use_are_refused(name: str, words: str) -> None:
    with pytest.raises(Unfit, match=words):
        safe_path(name)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("rows.json", b'[{"a": 1}]'),
        ("rows.jsonl", b'\n{"a": 1}\n'),
        ("rows.csv", b"\xef\xbb\xbfa,b\n1,2\n"),
        ("rows.parquet", b"PAR1" + bytes(8) + b"PAR1"),
        ("red.png", photo("red")),
        ("red.jpg", photo("red", kind="JPEG")),
    ],
)
def test_a_file_that_holds_what_its_name_says_is_kept(
    tmp_path: Path, name: str, content: bytes
) -> None:
    assert send(tmp_path, name, content) == f"uploads/{name}"
    assert (tmp_path / "data" / "uploads" / name).read_bytes() == content
    assert left_in(tmp_path) == [f"uploads/{name}"]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("rows.json", b"{" + bytes(3), "no NUL"),
        ("rows.json", b"<html>", r"must begin with one of \[ {"),
        ("rows.jsonl", b'[{"a": 1}]', "must begin with one of {"),
        ("rows.csv", b"a,b\n\xff,2\n", "must be UTF-8"),
        ("rows.csv", b"\xc3", "must be UTF-8"),
        ("rows.tsv", b" \n", "must have text"),
        ("rows.parquet", b"PAR1 and no more", "must be whole"),
        ("rows.parquet", b"PAR1", "must be whole"),
        ("rows.parquet", b"", "must be whole"),
        ("red.png", b"%PDF-1.7", "a picture must be one of"),
        ("red.png", photo("red", (64, 64))[:60], "whole and readable"),
        ("bomb.png", photo("red", (8_000, 8_000)), "must not exceed 50,000,000 pixels"),
    ],
)
def test_a_file_that_holds_something_else_is_refused_and_gone(
    tmp_path: Path, name: str, content: bytes, words: str
) -> None:
    with pytest.raises(Unfit, match=words):
        send(tmp_path, name, content)
    assert left_in(tmp_path) == []


def test_a_file_is_never_replaced(tmp_path: Path) -> None:
    send(tmp_path, "rows.json", b"[1]")
    with pytest.raises(UploadTaken):
        send(tmp_path, "rows.json", b"[2]")
    assert (tmp_path / "data" / "uploads" / "rows.json").read_bytes() == b"[1]"
    assert left_in(tmp_path) == ["uploads/rows.json"]


def test_a_file_above_the_limit_is_refused_while_it_comes(tmp_path: Path) -> None:
    with pytest.raises(Unfit, match="must not exceed 10,000 bytes"):
        send(tmp_path, "rows.csv", *[b"x" * 1_000] * 11, max_bytes=10_000)
    assert left_in(tmp_path) == []


def test_links_in_the_way_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "data" / "uploads").mkdir(parents=True)
    (tmp_path / "data" / "uploads" / "set").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(Unfit, match="symbolic links"):
        send(tmp_path, "set/rows.json", b"[1]")
    (tmp_path / "data" / "uploads" / "rows.json").symlink_to(tmp_path / "elsewhere" / "rows.json")
    with pytest.raises(UploadTaken):
        send(tmp_path, "rows.json", b"[1]")
    assert list((tmp_path / "elsewhere").iterdir()) == []
