"""Files that people send to the data root: named safely, checked by content, never replaced."""

import codecs
import os
import re
import shutil
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO
from uuid import uuid4

from rankscope.models.confined import Folder
from rankscope.models.data.dialogue import Picture, Unfit

FOLDER = "uploads"
"""Below the data root; nothing that people send lands elsewhere."""
TABLES = (".json", ".jsonl", ".ndjson", ".csv", ".tsv", ".parquet")
PICTURES = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff")
KEPT_FREE_BYTES = 1_000_000_000
"""Of the disk; runs write checkpoints there too."""

_MAX_STEPS, _MAX_STEP_CHARS = 4, 120
_UNSAFE = re.compile(r'[\x00-\x1f\x7f<>:"|?*]')
_CHUNK_BYTES = 1 << 20
_PARQUET = b"PAR1"
_FIRST_BYTES = {".json": b"[{", ".jsonl": b"{", ".ndjson": b"{"}


class UploadTaken(Exception):
    """There is such a file already."""


@dataclass(frozen=True)
class Uploads:
    """Where files go, and how large one may be.

    Args:
        data_root: Below it lies all that people name as data.
        max_bytes: Of one file; 0 takes none.
    """

    data_root: Path
    max_bytes: int

    @contextmanager
    def receiving(self, name: str) -> Iterator["Arriving"]:
        """A file that is being sent; what is not kept is gone at the end.

        Args:
            name: What the sender calls it, with folders or without.

        Raises:
            Unfit: If the name or its kind is of no use here.
            OSError: If there is no room for it.
        """
        path = safe_path(name)
        self.data_root.mkdir(parents=True, exist_ok=True)
        place = _made(Folder.at(self.data_root), path.parent)
        part = self.data_root / FOLDER / f".part-{uuid4().hex}"
        with part.open("xb") as file:
            try:
                yield Arriving(file, part, place.path / path.name, path, self.max_bytes)
            finally:
                part.unlink(missing_ok=True)

    def has_room(self, num_bytes: int) -> bool:
        """Whether the disk stays usable with so many bytes more."""
        self.data_root.mkdir(parents=True, exist_ok=True)
        return shutil.disk_usage(self.data_root).free - num_bytes > KEPT_FREE_BYTES


@dataclass
class Arriving:
    """The bytes of one file as they come."""

    file: IO[bytes]
    part: Path
    target: Path
    name: PurePosixPath
    max_bytes: int
    num_bytes: int = 0

    def write(self, chunk: bytes) -> None:
        """Take more of it.

        Raises:
            Unfit: If it becomes too large.
        """
        self.num_bytes += len(chunk)
        if self.num_bytes > self.max_bytes:
            raise too_large(self.num_bytes, self.max_bytes)
        self.file.write(chunk)

    def keep(self) -> str:
        """Check it and give it its name; returns its path below the data root.

        Raises:
            Unfit: If it does not hold what its name says.
            UploadTaken: If there is such a file already.
        """
        self.file.flush()
        check_content(self.part, self.name)
        try:
            os.link(self.part, self.target)  # unlike a rename, it never replaces
        except FileExistsError as error:
            raise UploadTaken from error
        return str(self.name)


def too_large(num_bytes: int, max_bytes: int) -> Unfit:
    """What to say of a file above the limit."""
    return Unfit(
        f"a file must not exceed {max_bytes:,} bytes",
        f"{num_bytes:,} or more",
        "split it, or have it put below the data root (RANKSCOPE_MAX_UPLOAD_MB sets the limit)",
    )


def safe_path(name: str) -> PurePosixPath:
    """Where a file of this name goes, relative to the data root.

    Raises:
        Unfit: If it leads elsewhere, or is of a kind that is not taken.
    """
    steps = [step for step in re.split(r"[/\\]", unicodedata.normalize("NFC", name)) if step]
    if ".." in steps or not 1 <= len(steps) <= _MAX_STEPS:
        raise Unfit(
            f"a file's name must have 1 to {_MAX_STEPS} steps, none of them ..",
            repr(name),
            "rename it",
        )
    suffix = PurePosixPath(steps[-1]).suffix.lower()
    if suffix not in TABLES + PICTURES:
        raise Unfit(
            f"a file must end with one of {', '.join(TABLES + PICTURES)}",
            repr(name),
            "convert it; unpack archives and send their files",
        )
    return PurePosixPath(FOLDER, *map(_safe_step, steps))


def check_content(path: Path, name: PurePosixPath) -> None:
    """Look whether a file holds what its name says.

    Raises:
        Unfit: If it does not.
    """
    suffix = name.suffix.lower()
    if suffix in PICTURES:
        Picture(name.name, path).check()
    elif suffix == ".parquet":
        _check_parquet(path, name)
    else:
        _check_text(path, name, _FIRST_BYTES.get(suffix))


def _check_parquet(path: Path, name: PurePosixPath) -> None:
    with path.open("rb") as file:
        first = file.read(len(_PARQUET))
        file.seek(-min(len(_PARQUET), path.stat().st_size), os.SEEK_END)
        if first != _PARQUET or file.read() != _PARQUET or path.stat().st_size < 12:
            raise Unfit("a Parquet file must be whole", name.name, "send it again")


def _check_text(path: Path, name: PurePosixPath, first_bytes: bytes | None) -> None:
    decoder = codecs.getincrementaldecoder("utf-8-sig")()
    begins = ""
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                text = decoder.decode(chunk)
                if "\0" in text:
                    raise Unfit("a text file must hold no NUL", name.name, "save it as UTF-8")
                begins = begins or text.lstrip()[:1]
            decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        raise Unfit("a text file must be UTF-8", name.name, "save it as UTF-8") from error
    if not begins or (first_bytes and begins.encode() not in first_bytes):
        expected = (
            f"begin with one of {' '.join(first_bytes.decode())}" if first_bytes else "have text"
        )
        raise Unfit(f"a file ending with {name.suffix} must {expected}", name.name, "mend it")


def _safe_step(step: str) -> str:
    """A step that no shell, browser or file system takes for something else."""
    safe = PurePosixPath(_UNSAFE.sub("_", step).strip(" .") or "_")
    return safe.stem[: _MAX_STEP_CHARS - len(safe.suffix)] + safe.suffix


def _made(root: Folder, parent: PurePosixPath) -> Folder:
    """The folder, made if need be, without going over a link."""
    folder = root
    for step in parent.parts:
        (folder.path / step).mkdir(exist_ok=True)
        folder = folder.folder(step)
    return folder
