"""Reading a data set row by row: examples, and what is wrong with the rest."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from rankscope.models.data.dialogue import Example, Unfit
from rankscope.models.data.files.contract import BrokenRow, Format, Row, Source, Told
from rankscope.models.data.files.fields import skill_of
from rankscope.models.data.files.pictures import Gallery
from rankscope.models.data.files.settings import DialogueData, Limits

PictureCheck = Literal["found", "decoded"]
"""How far pictures are looked at while rows are read: only found, or decoded once as a test."""


@dataclass(frozen=True)
class DialogueSet:
    """A person's data, ready to be read as often as needed.

    Args:
        name: As the settings call it.
        format: How its rows read.
        sources: Where its rows are, in order.
        gallery: Where its pictures are.
        settings: What else was said about it.
    """

    name: str
    format: Format
    sources: tuple[Source, ...]
    gallery: Gallery
    settings: DialogueData

    def examples(self, check: PictureCheck = "found") -> Iterator[Example | BrokenRow]:
        """Every row in order, a few in memory; no single row ends it.

        Raises:
            Unfit: If a whole file cannot be read.
        """
        for index, source in enumerate(self.sources):
            prefix = f"{index + 1}:" if len(self.sources) > 1 else ""
            for row in rows_of(source):
                yield self._example(row, source.name, prefix, check)

    def _example(
        self, row: Row | BrokenRow, file: str, prefix: str, check: PictureCheck
    ) -> Example | BrokenRow:
        if isinstance(row, BrokenRow):
            return row
        where = f"{file} row {row.number}"
        try:
            told = self.format.read(row.record, self.settings.columns)
            _check_limits(told, self.settings.limits)
            pictures = tuple(self.gallery.find(cell, where) for cell in told.pictures)
            key = told.key or f"{prefix}{row.number}"
            skill = skill_of(row.record, self.settings.columns)
            example = Example(key, row.number, pictures, told.turns, file, skill)
            if check == "decoded":
                for picture in pictures:
                    picture.check()
        except Unfit as error:
            return BrokenRow.of(error, row.number, file)
        except RecursionError:
            rule = "a row must not be nested too deeply"
            return BrokenRow(row.number, rule, "lists in lists", "flatten it", file)
        return example


def rows_of(source: Source) -> Iterator[Row | BrokenRow]:
    """The rows of a source, whose name stands in whatever it raises."""
    try:
        yield from source.rows()
    except Unfit as error:
        raise Unfit(error.rule, error.value, error.remedy, where=source.name) from error


def _check_limits(told: Told, limits: Limits) -> None:
    num_chars = sum(len(turn.text) for turn in told.turns)
    for what, number, limit, setting in (
        ("turns", len(told.turns), limits.max_turns, "max_turns"),
        ("pictures", len(told.pictures), limits.max_pictures, "max_pictures"),
        ("characters", num_chars, limits.max_chars, "max_chars"),
    ):
        if number > limit:
            raise Unfit(
                f"a row must not exceed {limit:,} {what}",
                f"{number:,}",
                f"shorten it or raise limits.{setting}",
            )
