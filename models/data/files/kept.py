"""Rows that a run has read, kept in a file: a data set may be larger than memory."""

import json
import os
import tempfile
import weakref
from array import array
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, overload

from typing_extensions import override

from rankscope.models.data.dialogue import Example, Picture, Turn


class KeptRows(Sequence[Example]):
    """Examples in the order they were added, on disk; a few bytes of each are in memory.

    Args:
        folder: Where their file is, which has no name and goes with the process.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - closed below
        weakref.finalize(self, self._file.close)
        self._ends = array("Q", [0])
        self._is_written = True
        self.num_chars = array("L")
        self.num_pictures = array("L")
        self.skills: list[str] = []

    def add(self, example: Example) -> None:
        """One more; its pictures must be files."""
        line = json.dumps(_told(example), ensure_ascii=False, separators=(",", ":")).encode()
        self._file.write(line)
        self._is_written = False
        self._ends.append(self._ends[-1] + len(line))
        self.num_chars.append(example.num_chars)
        self.num_pictures.append(len(example.pictures))
        self.skills.append(example.skill)

    def __len__(self) -> int:
        return len(self._ends) - 1

    @overload
    def __getitem__(self, index: int) -> Example: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Example]: ...
    @override
    def __getitem__(self, index: int | slice) -> Example | Sequence[Example]:
        if isinstance(index, slice):
            return [self[place] for place in range(*index.indices(len(self)))]
        place = range(len(self))[index]
        if not self._is_written:
            self._file.flush()
            self._is_written = True
        start, end = self._ends[place], self._ends[place + 1]
        return _example(json.loads(os.pread(self._file.fileno(), end - start, start)))

    @override
    def __iter__(self) -> Iterator[Example]:
        return (self[place] for place in range(len(self)))


def _told(example: Example) -> list[object]:
    return [
        example.key,
        example.row,
        example.file,
        example.skill,
        [[turn.role, turn.text] for turn in example.turns],
        [[p.name, _path(p), p.where, p.max_pixels] for p in example.pictures],
    ]


def _path(picture: Picture) -> str:
    assert isinstance(picture.source, Path)
    return str(picture.source)


def _example(told: list[Any]) -> Example:
    key, row, file, skill, turns, pictures = told
    return Example(
        key,
        row,
        tuple(Picture(name, Path(path), where, most) for name, path, where, most in pictures),
        tuple(Turn(role, text) for role, text in turns),
        file,
        skill,
    )
