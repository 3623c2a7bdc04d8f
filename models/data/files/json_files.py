"""JSON files: one array of rows, or a row a line."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import BinaryIO

from typing_extensions import override

from rankscope.models.data.dialogue import Unfit
from rankscope.models.data.files.contract import BrokenRow, Row, Source
from rankscope.models.data.files.json_text import ArrayElements, TooLong, parse_object

_BOM = b"\xef\xbb\xbf"
_BOMS_OF_OTHERS = (b"\xff\xfe", b"\xfe\xff", b"\0\0\xfe\xff")
_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True)
class JsonArray(Source):
    """A file of one JSON array; a row is an element."""

    path: Path
    name: str
    max_row_bytes: int

    @override
    def rows(self) -> Iterator[Row | BrokenRow]:
        with text_file(self.path) as file:
            elements = ArrayElements(iter(lambda: file.read(_CHUNK_BYTES), b""), self.max_row_bytes)
            number = 0
            for number, element in enumerate(elements, 1):
                yield _row(element, number, self.name, self.max_row_bytes)
        if elements.end == "cut":
            last = elements.rest[-40:].decode("utf-8", "replace")
            unfit = Unfit(
                "the array must end with ]", f"{last!r} at the end", "fetch the whole file"
            )
            yield BrokenRow.of(unfit, number + 1, self.name)
        elif elements.end == "more":
            unfit = Unfit(
                "nothing may follow the array", "more text", "keep one array, or an object a line"
            )
            yield BrokenRow.of(unfit, number + 1, self.name)


@dataclass(frozen=True)
class JsonLines(Source):
    """A file of one JSON object a line; a row is a line, blank ones have a number, too."""

    path: Path
    name: str
    max_row_bytes: int

    @override
    def rows(self) -> Iterator[Row | BrokenRow]:
        with text_file(self.path) as file:
            for number in count(1):
                line = file.readline(self.max_row_bytes + 1)
                if not line:
                    return
                element: bytes | TooLong = line.strip()
                if len(line) > self.max_row_bytes:
                    element = TooLong()
                    while line and not line.endswith(b"\n"):
                        line = file.readline(self.max_row_bytes + 1)
                if element:
                    yield _row(element, number, self.name, self.max_row_bytes)


@contextmanager
def text_file(path: Path) -> Iterator[BinaryIO]:
    """A file of UTF-8 text, as bytes behind its byte order mark.

    Raises:
        Unfit: If it cannot be opened, or its first bytes say that it is in another encoding.
    """
    try:
        file = path.open("rb")
    except OSError as error:
        raise Unfit(
            "a data file must be readable", str(error.strerror), "check its permissions"
        ) from error
    with file:
        start = file.read(4)
        if start.startswith(_BOMS_OF_OTHERS):
            raise Unfit(
                "a data file must be UTF-8", "a mark of UTF-16 or UTF-32", "save it as UTF-8"
            )
        file.seek(len(_BOM) if start.startswith(_BOM) else 0)
        yield file


def first_byte(path: Path) -> bytes:
    """The first byte that is not blank, as far as a chunk reaches; b"" if there is none."""
    with text_file(path) as file:
        return file.read(_CHUNK_BYTES).lstrip()[:1]


def _row(element: bytes | TooLong, number: int, name: str, max_bytes: int) -> Row | BrokenRow:
    if isinstance(element, TooLong):
        rule = f"a row must not exceed {max_bytes:,} bytes"
        return BrokenRow(number, rule, "more", "shorten it or raise limits.max_row_bytes", name)
    try:
        return Row(number, parse_object(element))
    except Unfit as unfit:
        return BrokenRow.of(unfit, number, name)
