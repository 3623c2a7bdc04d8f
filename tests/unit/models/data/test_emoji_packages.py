"""Packages of pictures: what is taken of a tarball, and what is refused."""

import hashlib
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from rankscope.models.data.emoji_fluent import FLUENT
from rankscope.models.data.emoji_packages import PicturePackage, take_files
from tests.helpers.picture_packages import packed

GOOD = {
    "package/package.json": b"{}",
    "package/assets/1f600.webp": b"a face",
    "package/assets/1f1e6-1f1e8.webp": b"a flag",
    "package/assets/more/1f601.webp": b"not among them",
    "package/assets/notes.txt": b"nothing to see",
}
TWO = replace(FLUENT, num_files=2, max_file_bytes=6)


def header(name: str, kind: bytes = tarfile.REGTYPE, to: str = "") -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.linkname = kind, to
    return made


def test_only_the_files_that_are_needed_leave_the_tarball(tmp_path: Path) -> None:
    package, tarball = packed(TWO, GOOD, tmp_path)
    folder = tmp_path / "taken"
    take_files(package, tarball, folder)
    taken = {file.name: file.read_bytes() for file in folder.rglob("*")}
    assert taken == {"1f600.webp": b"a face", "1f1e6-1f1e8.webp": b"a flag"}


def test_another_tarball_is_refused_before_it_is_opened(tmp_path: Path) -> None:
    _, tarball = packed(TWO, GOOD, tmp_path)
    found = hashlib.sha256(tarball.read_bytes()).hexdigest()
    rule = f"must have SHA-256 {TWO.sha256}, got {found}; fetch @lobehub/fluent-emoji-3d@1.1.0 aga"
    with pytest.raises(ValueError, match=rule):
        take_files(TWO, tarball, tmp_path / "taken")
    assert not (tmp_path / "taken").exists()


@pytest.mark.parametrize(
    ("member", "words"),
    [
        (
            header("package/assets/1f602.webp", tarfile.SYMTYPE, "/etc/passwd"),
            "got a link to /etc/passwd",
        ),
        (
            header("package/assets/1f602.webp", tarfile.LNKTYPE, "package/assets/1f600.webp"),
            "got a link to package/assets/1f600",
        ),
        (header("package/assets/1f602.webp", tarfile.FIFOTYPE), "must be a file or folder"),
        (header("package/../../1f602.webp"), "within the package, got something else or outside"),
        (header("/package/assets/1f602.webp"), "within the package, got something else or outside"),
    ],
    ids=["link", "hard link", "pipe", "parent", "absolute"],
)
def test_what_no_published_package_holds_is_refused(
    tmp_path: Path, member: tarfile.TarInfo, words: str
) -> None:
    package, tarball = packed(TWO, GOOD | {"": member}, tmp_path)
    with pytest.raises(ValueError, match=words):
        take_files(package, tarball, tmp_path / "taken")
    assert not any(path.is_symlink() for path in tmp_path.rglob("*"))
    assert not (tmp_path / "taken" / "1f602.webp").exists()


@pytest.mark.parametrize(
    ("package", "words"),
    [
        (replace(TWO, num_files=3), r"must hold 3 files .* in package/assets, got 2; fetch"),
        (replace(TWO, max_file_bytes=5), r"1f600.webp must have at most 5 bytes, got 6; fetch"),
    ],
    ids=["missing", "large"],
)
def test_a_missing_or_a_huge_file_is_told(
    tmp_path: Path, package: PicturePackage, words: str
) -> None:
    package, tarball = packed(package, GOOD, tmp_path)
    with pytest.raises(ValueError, match=words):
        take_files(package, tarball, tmp_path / "taken")


def test_the_registry_is_asked_for_one_version_of_one_package() -> None:
    assert FLUENT.wanted == "@lobehub/fluent-emoji-3d@1.1.0"
