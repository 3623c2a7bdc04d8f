"""JSON text: the object of one row, and the elements of an array without reading it whole."""

import json
import re
from collections.abc import Iterable, Iterator
from typing import Literal

from rankscope.models.data.dialogue import Unfit
from rankscope.models.data.files.contract import Record
from rankscope.models.data.files.fields import told

_BLANKS = b" \t\r\n"
# Only ASCII is looked for, and no byte of a longer UTF-8 character is ASCII. Whole strings are gone
# over at once, which makes it ten times as fast; 1,000 of them bound what the match remembers.
_STRING = rb'"[^"\\]*(?:\\.[^"\\]*)*"'
_BETWEEN_ELEMENTS = re.compile(rb'(?:[^"{}\[\],]+|' + _STRING + rb"){0,1000}", re.DOTALL)
_IN_ELEMENT = re.compile(rb'(?:[^"{}\[\]]+|' + _STRING + rb"){0,1000}", re.DOTALL)
_IN_STRING = re.compile(rb'[^"\\]*')
_NOTHING = re.compile(rb"")
_QUOTE, _BACKSLASH, _COMMA, _CLOSING = b'"\\,]'


def parse_object(text: bytes) -> Record:
    """The object that a row's text says.

    Raises:
        Unfit: If it is no JSON object in UTF-8.
    """
    try:
        value = json.loads(text.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise Unfit(
            "a row must be UTF-8",
            f"byte 0x{text[error.start]:02x} at {error.start}",
            "save the file as UTF-8",
        ) from error
    except (ValueError, RecursionError) as error:
        start = text[:40].decode("utf-8", "replace")
        raise Unfit("a row must be JSON", f"{start!r} ({error})", "mend or remove it") from error
    if not isinstance(value, dict):
        raise Unfit("a row must be an object", told(value), "write it as {...}")
    return value


class TooLong:
    """Stands for an element of more bytes than are kept."""


class ArrayElements:
    """Splits a JSON array that comes in chunks; what lies between two commas is an element.

    Elements are found by quotes and brackets alone, so that one which is no JSON leaves its
    neighbours whole.

    Args:
        chunks: UTF-8 text in pieces of any size, none of them empty.
        max_bytes: Of one element; of a longer one nothing is kept.

    Attributes:
        end: After the last element: how the array ended. "cut": without its bracket; "more": with
            something behind it.
        rest: What stands behind the last element of an array that was cut.
    """

    def __init__(self, chunks: Iterable[bytes], max_bytes: int) -> None:
        self.end: Literal["closed", "cut", "more"] = "cut"
        self.rest = b""
        self._chunks = iter(chunks)
        self._max_bytes = max_bytes
        self._kept = bytearray()
        self._at = 0  # what is kept before here is understood
        self._is_too_long = False

    def __iter__(self) -> Iterator[bytes | TooLong]:
        """The elements' texts, without blanks around.

        Raises:
            Unfit: If the text does not begin with a bracket.
        """
        self._open()
        is_first = True
        while (divider := self._next_divider()) is not None:
            element = self._taken()
            if element or divider == _COMMA or not is_first:  # only of [] there is none
                yield element
            is_first = False
            if divider == _CLOSING:
                self.end = "more" if self._has_more() else "closed"
                return
        self.rest = bytes(self._kept).strip(_BLANKS)

    def _open(self) -> None:
        while not (text := bytes(self._kept).lstrip(_BLANKS)) and self._fill():
            self._at = 0
        if not text.startswith(b"["):
            raise Unfit(
                "a JSON array must begin with [",
                repr(text[:20].decode("utf-8", "replace")),
                "write the rows as one array, or an object a line",
            )
        del self._kept[: len(self._kept) - len(text) + 1]
        self._at = 0

    def _next_divider(self) -> int | None:
        """The next comma or closing bracket of the array itself; None if the text ends before."""
        depth = 0
        while (mark := self._next(_IN_ELEMENT if depth else _BETWEEN_ELEMENTS)) is not None:
            if mark == _QUOTE:
                self._skip_string()
            elif mark in b"{[":
                depth += 1
            elif depth and mark in b"}]":
                depth -= 1
            elif not depth and mark in (_COMMA, _CLOSING):
                return mark
            # A } that closes nothing makes its element no JSON, and nothing worse.
        return None

    def _skip_string(self) -> None:
        while self._next(_IN_STRING) == _BACKSLASH:
            self._next(_NOTHING)

    def _next(self, skipped: re.Pattern[bytes]) -> int | None:
        """Go over what ``skipped`` matches and over one byte more, which is returned."""
        while True:
            found = skipped.match(self._kept, self._at)
            assert found is not None  # every pattern matches nothing, too
            self._at = found.end()
            del found  # as long as it is there, the buffer cannot grow
            if self._at < len(self._kept):
                self._at += 1
                return self._kept[self._at - 1]
            if not self._fill():
                return None

    def _fill(self) -> bool:
        """One more chunk, if there is one."""
        if len(self._kept) > self._max_bytes:
            self._is_too_long = True
            self._kept.clear()
            self._at = 0
        chunk = next(self._chunks, b"")
        self._kept += chunk
        return bool(chunk)

    def _taken(self) -> bytes | TooLong:
        """What was kept before the divider just read."""
        element = bytes(self._kept[: self._at - 1]).strip(_BLANKS)
        is_too_long = self._is_too_long or len(element) > self._max_bytes
        del self._kept[: self._at]
        self._at, self._is_too_long = 0, False
        return TooLong() if is_too_long else element

    def _has_more(self) -> bool:
        while not self._kept.strip(_BLANKS):
            self._kept.clear()
            if not self._fill():
                return False
        return True
