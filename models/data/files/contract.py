"""What a source of rows and a format of dialogues promise; both kinds stand in explicit lists."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

from rankscope.models.data.dialogue import Turn, Unfit
from rankscope.models.data.files.settings import Columns

Record = Mapping[str, object]
"""One row as its file has it: column names to text, numbers, bytes, lists and mappings."""


@dataclass(frozen=True)
class BrokenRow:
    """A row that cannot be used, or the place where a file stops being readable.

    Args:
        row: Counted from 1 within the file.
        rule: The same words for every row that breaks it.
        value: What was found.
        remedy: What mends it.
        file: As the data set calls it, relative to the data root.
    """

    row: int
    rule: str
    value: str
    remedy: str
    file: str = ""

    @classmethod
    def of(cls, unfit: Unfit, row: int, file: str) -> "BrokenRow":
        """The row in which this came up."""
        return cls(row, unfit.rule, unfit.value, unfit.remedy, file)

    def __str__(self) -> str:
        return f"{self.file} row {self.row}: {self.rule}, got {self.value}; {self.remedy}"


@dataclass(frozen=True)
class Row:
    """A row that could be read."""

    number: int
    record: Record


class Source(ABC):
    """Where rows come from: a file, a folder, a data set of the hub. Reading it again starts anew.

    Args:
        name: How messages and broken rows call it.
    """

    name: str

    @abstractmethod
    def rows(self) -> Iterator[Row | BrokenRow]:
        """Every row once and in order, holding a few in memory.

        What one row breaks is told in its place, and reading goes on behind it where it can.

        Raises:
            Unfit: If nothing of it can be read.
        """


@dataclass(frozen=True)
class Told:
    """What a row tells, before its pictures are looked for.

    Args:
        turns: With markers where pictures belong.
        pictures: As the row has them: paths, encoded bytes, or mappings of "bytes" and "path".
        key: The row's own name, "" if it has none.
    """

    turns: tuple[Turn, ...]
    pictures: tuple[object, ...]
    key: str


class Format(ABC):
    """How a row tells a dialogue: pure, and free of files."""

    name: ClassVar[str]

    @abstractmethod
    def fits(self, record: Record, columns: Columns) -> bool:
        """Whether a first row looks like this format."""

    @abstractmethod
    def read(self, record: Record, columns: Columns) -> Told:
        """The row's turns and pictures.

        Raises:
            Unfit: If the row does not keep to the format.
        """
