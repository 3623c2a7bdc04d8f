"""A dialogue about pictures: what every training example is, whatever file it comes from."""

import hashlib
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import IO, TYPE_CHECKING, Literal

import numpy as np

from rankscope.models.data.arrays import UInt8Array

if TYPE_CHECKING:  # pillow is not among the core's packages
    from PIL import Image
    from PIL.ImageFile import ImageFile

Role = Literal["system", "user", "assistant", "tool"]

IMAGE_MARKER = "<image>"
"""Stands in a text where a picture belongs; the pictures follow in the order of their markers."""
PICTURE_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")
"""What is opened at all; some of Pillow's other readers start programs of their own."""
MAX_PIXELS = 50_000_000
"""Of one picture, unless somebody says otherwise: more than phones take, 150 MB as RGB."""

_MAY_FOLLOW: dict[Role | None, tuple[Role, ...]] = {
    None: ("system", "user"),
    "system": ("user",),
    "user": ("assistant",),
    "assistant": ("user", "tool"),
    "tool": ("tool", "assistant"),
}
_MAY_SHOW: tuple[Role, ...] = ("user", "tool")
_HALF_CHARACTER = re.compile("[\ud800-\udfff]")
_READ_BYTES = 1 << 20
_SHOWN_CHARS = 160


class Unfit(ValueError):
    """Data that cannot be used: which rule is broken, what was found, what mends it.

    Args:
        rule: The same words for every row that breaks it, so that rows can be counted by rule.
        value: What was found; long values are cut.
        remedy: What to do about it.
        where: File and row, "" where only the caller knows.
    """

    def __init__(self, rule: str, value: str, remedy: str, *, where: str = "") -> None:
        self.rule = rule
        self.value = value if len(value) <= _SHOWN_CHARS else f"{value[: _SHOWN_CHARS - 3]}..."
        self.remedy = remedy
        self.where = where
        place = f"{where}: " if where else ""
        super().__init__(f"{place}{self.without_place}")

    @property
    def without_place(self) -> str:
        """All of it but where."""
        return f"{self.rule}, got {self.value}; {self.remedy}"


@dataclass(frozen=True)
class Turn:
    """What one side says; a call of a tool is text of the assistant, its result a tool's turn."""

    role: Role
    text: str

    def __post_init__(self) -> None:
        if self.role != "tool" and not self.text.strip():
            raise Unfit(
                "every turn but a tool's must have text",
                f"none from the {self.role}",
                "write it or take the row out",
            )
        if _HALF_CHARACTER.search(self.text):
            raise Unfit(
                "text must be whole Unicode characters",
                repr(self.text),
                r"mend the half of a character (\ud800 to \udfff)",
            )


@dataclass(frozen=True, eq=False)
class Pixels:
    """A picture that was drawn here, RGB, shape (H, W, 3)."""

    image_HWC: UInt8Array


@dataclass(frozen=True)
class Picture:
    """One picture, opened only when it is asked for.

    Args:
        name: What the data call it, for messages.
        source: A file that may be read, the encoded picture itself, or one that was drawn.
        where: File and row that it belongs to, for messages.
        max_pixels: Larger pictures are refused before they are decoded.
    """

    name: str
    source: Path | bytes | Pixels = field(repr=False)
    where: str = ""
    max_pixels: int = MAX_PIXELS

    def open(self) -> "Image.Image":
        """The whole picture as RGB, turned upright as its EXIF orientation says.

        Raises:
            Unfit: If it is missing, no picture, too large or damaged.
        """
        from PIL import Image, ImageOps

        if isinstance(self.source, Pixels):
            return Image.fromarray(self.source.image_HWC)
        with self._opened() as picture:
            return _rgb(ImageOps.exif_transpose(picture))

    def check(self) -> tuple[int, int]:
        """Decode all of it, as small as its format can; returns upright width and height in px.

        Raises:
            Unfit: Where ``open`` would raise it.
        """
        from PIL import ExifTags

        if isinstance(self.source, Pixels):
            height, width, _ = self.source.image_HWC.shape
            return width, height
        with self._opened() as picture:
            width, height = picture.size
            picture.draft(None, (1, 1))  # a JPEG is read to its end, but an eighth as large
            picture.load()
            _check_depth(picture.mode)
            is_on_its_side = picture.getexif().get(ExifTags.Base.Orientation, 1) in (5, 6, 7, 8)
        return (height, width) if is_on_its_side else (width, height)

    def digest(self) -> bytes:
        """SHA-256 of the encoded picture, or of a drawn one's pixels.

        Raises:
            Unfit: If its file cannot be read.
        """
        sha256 = hashlib.sha256()
        if isinstance(self.source, Pixels):
            sha256.update(self.source.image_HWC.tobytes())
            return sha256.digest()
        with self._complaining(), self._file() as file:
            while chunk := file.read(_READ_BYTES):
                sha256.update(chunk)
        return sha256.digest()

    @contextmanager
    def _opened(self) -> Iterator["ImageFile"]:
        from PIL import Image

        with (
            self._complaining(),
            self._file() as file,
            Image.open(file, formats=PICTURE_FORMATS) as picture,
        ):
            width, height = picture.size
            if width * height > self.max_pixels:
                raise Image.DecompressionBombError(f"{width} x {height} pixels")
            yield picture

    def _file(self) -> IO[bytes]:
        """A link put in the file's place after it was found is not followed."""
        assert not isinstance(self.source, Pixels)  # nothing encoded
        if isinstance(self.source, bytes):
            return BytesIO(self.source)
        return os.fdopen(os.open(self.source, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0)), "rb")

    @contextmanager
    def _complaining(self) -> Iterator[None]:
        """Whatever a picture makes Pillow raise, told as rule, value and remedy."""
        from PIL import Image, UnidentifiedImageError

        try:
            yield
        except Unfit as error:
            raise Unfit(
                error.rule, f"{self.name}: {error.value}", error.remedy, where=self.where
            ) from error
        except FileNotFoundError as error:
            raise self._unfit(
                "a picture must exist", "", "check the image root and the spelling"
            ) from error
        except UnidentifiedImageError as error:
            raise self._unfit(
                f"a picture must be one of {', '.join(PICTURE_FORMATS)}",
                "",
                "save it anew or take the row out",
            ) from error
        except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
            raise self._unfit(
                f"a picture must not exceed {self.max_pixels:,} pixels",
                str(error),
                "shrink it or raise max_pixels",
            ) from error
        except Exception as error:  # Pillow's readers raise anything on damaged files
            raise self._unfit(
                "a picture must be whole and readable", str(error), "fetch or save it anew"
            ) from error

    def _unfit(self, rule: str, found: str, remedy: str) -> Unfit:
        value = f"{self.name}: {found}" if found else self.name
        return Unfit(rule, value, remedy, where=self.where)


@dataclass(frozen=True)
class Example:
    """A dialogue with its pictures.

    Args:
        key: The data's own name of the row, or its number.
        row: Which row of its file, counted from 1.
        pictures: In the order of the markers in the turns.
        turns: At most one system turn, then user and assistant in turn, the assistant last; after
            an assistant's call a tool may answer.
        file: As the data set calls it, "" where rows come from none.
        skill: What the row tests, as the data say; "" if they do not.

    Raises:
        Unfit: If a rule does not hold.
    """

    key: str
    row: int
    pictures: tuple[Picture, ...]
    turns: tuple[Turn, ...]
    file: str = ""
    skill: str = ""

    def __post_init__(self) -> None:
        _check_order([turn.role for turn in self.turns])
        _check_markers(self.turns, len(self.pictures))

    @property
    def num_chars(self) -> int:
        """Characters of all turns."""
        return sum(len(turn.text) for turn in self.turns)


def _check_order(roles: Sequence[Role]) -> None:
    before: Role | None = None
    for role in roles:
        if role not in _MAY_FOLLOW[before]:
            raise Unfit(
                "turns must go: system (if any), user, assistant, then user or tool again",
                f"{role} after {before}" if before else f"{role} first",
                "reorder or join turns, or take the row out",
            )
        before = role
    if before != "assistant":
        raise Unfit(
            "the last turn must be the assistant's",
            before or "no turn",
            "add the answer or drop what has none",
        )


def _check_markers(turns: Sequence[Turn], num_pictures: int) -> None:
    for turn in turns:
        if turn.role not in _MAY_SHOW and IMAGE_MARKER in turn.text:
            raise Unfit(
                f"{IMAGE_MARKER} may stand only in turns of user and tool",
                f"one in a turn of the {turn.role}",
                "move it, or write the word otherwise",
            )
    num_markers = sum(turn.text.count(IMAGE_MARKER) for turn in turns)
    if num_markers != num_pictures:
        raise Unfit(
            f"every picture must have its {IMAGE_MARKER} and every {IMAGE_MARKER} its picture",
            f"{num_markers} for {num_pictures} pictures",
            f"write {IMAGE_MARKER} where each picture belongs",
        )


def _rgb(picture: "Image.Image") -> "Image.Image":
    """RGB of any mode; 16-bit grey is scaled, which Pillow's own conversion would cut to white."""
    from PIL import Image

    _check_depth(picture.mode)
    if picture.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(picture) >> 8).astype(np.uint8)).convert("RGB")
    if picture.mode == "P" and "transparency" in picture.info:
        return picture.convert("RGBA").convert("RGB")
    return picture.convert("RGB")


def _check_depth(mode: str) -> None:
    if mode in ("I", "F"):
        raise Unfit(
            "a picture must have 8 or 16 bits a channel",
            f"mode {mode}",
            "save it as 8-bit PNG or JPEG",
        )
