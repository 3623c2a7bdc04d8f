"""Rows of benchmark files: UTF-8 and JSON read with errors that name file, row, rule and remedy."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

REMEDY = "take the official file that docs/benchmarks.md names"
CUT_OFF = "it may be cut off, fetch it again"


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a file.

    Args:
        place: File and row, for messages.
        cells: What the row says, by column.
    """

    place: str
    cells: Mapping[str, Any]

    def text(self, key: str) -> str:
        """The text under a key.

        Raises:
            ValueError: If there is none.
        """
        value = self._value(key)
        if not isinstance(value, str):
            raise self.refused(f"{key} must be text", value)
        return value

    def whole(self, key: str) -> int:
        """The whole number under a key.

        Raises:
            ValueError: If there is none.
        """
        value = self._value(key)
        if not isinstance(value, int) or isinstance(value, bool):
            raise self.refused(f"{key} must be a whole number", value)
        return value

    def name(self, key: str) -> str:
        """The text or whole number under a key, as text: files write ids either way.

        Raises:
            ValueError: If there is neither.
        """
        return str(self.whole(key)) if isinstance(self._value(key), int) else self.text(key)

    def texts(self, key: str) -> tuple[str, ...]:
        """The list of texts under a key.

        Raises:
            ValueError: If there is none.
        """
        value = self._value(key)
        if not isinstance(value, list) or not all(isinstance(part, str) for part in value):
            raise self.refused(f"{key} must be a list of texts", value)
        return tuple(value)

    def rows(self, key: str) -> list["Row"]:
        """The list of objects under a key.

        Raises:
            ValueError: If there is none.
        """
        value = self._value(key)
        if not isinstance(value, list):
            raise self.refused(f"{key} must be a list", value)
        return [row_of(f"{self.place}, {key} {i}", part) for i, part in enumerate(value, start=1)]

    def row(self, key: str) -> "Row":
        """The object under a key.

        Raises:
            ValueError: If there is none.
        """
        return row_of(f"{self.place}, {key}", self._value(key))

    def refused(self, rule: str, got: object, remedy: str = REMEDY) -> ValueError:
        """The error for this row."""
        return ValueError(f"{self.place}: {rule}, got {shortened(got)}; {remedy}")

    def _value(self, key: str) -> Any:  # noqa: ANN401 - JSON
        if key not in self.cells:
            keys = ", ".join(map(str, self.cells)) or "none"
            raise ValueError(f"{self.place}: must have {key}, got only {keys:.200}; {REMEDY}")
        return self.cells[key]


def shortened(value: object) -> str:
    """A value as a message shows it."""
    shown = repr(value)
    return shown if len(shown) <= 80 else f"{shown[:77]}..."


def row_of(place: str, value: object) -> Row:
    """A JSON object as a row.

    Raises:
        ValueError: If it is no object.
    """
    if not isinstance(value, dict):
        raise ValueError(  # noqa: TRY004 - bad input, not a bad call
            f"{place}: must be a JSON object, got {shortened(value)}; {REMEDY}"
        )
    return Row(place, value)


def read_json(path: Path) -> object:
    """What a JSON file holds.

    Raises:
        ValueError: If it cannot be read, is no UTF-8 or no JSON.
    """
    return _parsed(_decoded(read_bytes(path), str(path)), str(path))


def read_jsonl(path: Path) -> Iterator[Row]:
    """The objects of a file with one JSON object per line; empty lines are passed over.

    Raises:
        ValueError: If it cannot be read, or a line is no UTF-8 or no JSON object.
    """
    for place, line in read_lines(path):
        yield row_of(place, _parsed(line, place))


def read_lines(path: Path) -> Iterator[tuple[str, str]]:
    """Place and text of a file's lines; empty lines are passed over.

    Raises:
        ValueError: If it cannot be read or a line is no UTF-8.
    """
    for number, line in enumerate(read_bytes(path).split(b"\n"), start=1):
        place = f"{path} line {number}"
        if line.strip():
            yield place, _decoded(line, place)


def read_bytes(path: Path) -> bytes:
    """A file's content.

    Raises:
        ValueError: If it cannot be read.
    """
    require_file(path)
    try:
        return path.read_bytes()
    except OSError as error:
        raise unreadable(path, error) from error


def require_file(path: Path) -> None:
    """Refuse a path that is no regular file: a pipe or a device might never end.

    Raises:
        ValueError: If it is none.
    """
    if not path.is_file():
        raise ValueError(f"{path}: must be a file, and is none; check the path")


def unreadable(path: Path, error: OSError) -> ValueError:
    """The error for a file that the system does not let us read."""
    return ValueError(f"{path}: must be a readable file ({error.strerror}); check the path")


def by_key(rows: Iterable[Row], key_of: Callable[[Row], str]) -> dict[str, Row]:
    """Rows by a key of their own, in their order.

    Raises:
        ValueError: If two rows share a key.
    """
    found: dict[str, Row] = {}
    for row in rows:
        key = key_of(row)
        if key in found:
            raise row.refused(f"ids must differ, and {found[key].place} has this one too", key)
        found[key] = row
    return found


def _decoded(content: bytes, place: str) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{place}: must be UTF-8, got byte {content[error.start]:#04x} at {error.start}; "
            f"{REMEDY}"
        ) from error


def _parsed(text: str, place: str) -> object:
    try:
        return json.loads(text)
    # Endless brackets exhaust the stack.
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{place}: must be JSON ({error}); {CUT_OFF}") from error
