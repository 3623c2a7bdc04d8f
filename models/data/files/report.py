"""What is in a data set, before anybody trains on it: counts, sizes, and what is broken."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from rankscope.models.data.dialogue import Example, Unfit
from rankscope.models.data.files.contract import BrokenRow
from rankscope.models.data.files.hashing import digests_of
from rankscope.models.data.files.reading import DialogueSet
from rankscope.models.data.files.splitting import part_of

_BROKEN_SHOWN, _BROKEN_SHOWN_OF_A_RULE = 30, 5


class _Shown(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Quantiles(_Shown):
    """Of whole numbers that occur: at least the named share of them is not above each."""

    least: int
    p5: int
    median: int
    p95: int
    most: int

    @classmethod
    def of(cls, numbers: Sequence[int]) -> "Quantiles | None":
        """None if there are no numbers."""
        if not numbers:
            return None
        shares = (0, 0.05, 0.5, 0.95, 1)
        found = np.quantile(np.asarray(numbers), shares, method="inverted_cdf")
        least, p5, median, p95, most = (int(number) for number in found)
        return cls(least=least, p5=p5, median=median, p95=p95, most=most)

    def __str__(self) -> str:
        return (
            f"{self.least:,} to {self.most:,}, median {self.median:,}, "
            f"5 % up to {self.p5:,}, 95 % up to {self.p95:,}"
        )


class Broken(_Shown):
    """A broken row, for people."""

    file: str
    row: int
    rule: str
    value: str
    remedy: str


class Report(_Shown):
    """What reading found, as far as it went."""

    name: str = Field(description="The data set.")
    format: str = Field(description="How its rows read.")
    num_rows: int = Field(description="Rows read.")
    is_whole: bool = Field(description="Whether that was all of them.")
    num_good: int = Field(description="Rows that can be used.")
    num_broken: int = Field(description="Rows that cannot.")
    broken_by_rule: dict[str, int] = Field(description="Broken rows by the rule, most first.")
    first_broken: tuple[Broken, ...] = Field(description="The first broken rows of each rule.")
    num_text_only: int = Field(description="Good rows without a picture.")
    num_pictures: int = Field(description="Pictures of good rows, repeated ones counted again.")
    num_different_pictures: int = Field(description="Of different content.")
    rows_by_part: dict[str, int] = Field(
        description="Good rows by part; those that join pictures of two parts are in neither."
    )
    turns: Quantiles | None = Field(description="Turns of a row.")
    text_chars: Quantiles | None = Field(description="Characters of a row.")
    picture_width_px: Quantiles | None = Field(description="Upright width.")
    picture_height_px: Quantiles | None = Field(description="Upright height.")

    def as_text(self) -> str:
        """For a terminal: a line each, then the broken rows."""
        read = "all" if self.is_whole else "the first"
        parts = ", ".join(f"{name} {number:,}" for name, number in self.rows_by_part.items())
        lines = [
            f"{self.name}: {self.format}, {read} {self.num_rows:,} rows read",
            f"good {self.num_good:,}, broken {self.num_broken:,}, text only {self.num_text_only:,}",
            f"parts: {parts or 'none'}",
            f"pictures: {self.num_pictures:,}, different {self.num_different_pictures:,}",
        ]
        for title, quantiles in (
            ("turns a row", self.turns),
            ("characters a row", self.text_chars),
            ("picture width in px", self.picture_width_px),
            ("picture height in px", self.picture_height_px),
        ):
            if quantiles is not None:
                lines.append(f"{title}: {quantiles}")
        lines += [
            f"{number:,} {'time' if number == 1 else 'times'} broken: {rule}"
            for rule, number in self.broken_by_rule.items()
        ]
        lines += [
            f"  {b.file} row {b.row}: {b.rule}, got {b.value}; {b.remedy}"
            for b in self.first_broken
        ]
        return "\n".join(lines)


def inspect(dataset: DialogueSet, limit: int = 1000) -> Report:
    """Read the first ``limit`` rows, every picture decoded, and tell what they are.

    Raises:
        Unfit: If a whole file cannot be read.
    """
    seen = _Seen()
    rows = dataset.examples()
    for example in islice(rows, limit):
        seen.take(example, dataset)
    is_whole = next(rows, None) is None
    return Report(
        name=dataset.name,
        format=dataset.format.name,
        num_rows=seen.num_good + seen.num_broken,
        is_whole=is_whole,
        num_good=seen.num_good,
        num_broken=seen.num_broken,
        broken_by_rule=dict(seen.rules.most_common()),
        first_broken=tuple(
            Broken(file=b.file, row=b.row, rule=b.rule, value=b.value, remedy=b.remedy)
            for b in seen.first_broken
        ),
        num_text_only=seen.num_text_only,
        num_pictures=len(seen.widths),
        num_different_pictures=len(seen.digests),
        rows_by_part=dict(sorted(seen.parts.items())),
        turns=Quantiles.of(seen.turns),
        text_chars=Quantiles.of(seen.chars),
        picture_width_px=Quantiles.of(seen.widths),
        picture_height_px=Quantiles.of(seen.heights),
    )


@dataclass
class _Seen:
    """What was counted so far."""

    num_good: int = 0
    num_broken: int = 0
    num_text_only: int = 0
    rules: Counter[str] = field(default_factory=Counter)
    parts: Counter[str] = field(default_factory=Counter)
    first_broken: list[BrokenRow] = field(default_factory=list)
    digests: set[bytes] = field(default_factory=set)
    turns: list[int] = field(default_factory=list)
    chars: list[int] = field(default_factory=list)
    widths: list[int] = field(default_factory=list)
    heights: list[int] = field(default_factory=list)

    def take(self, example: Example | BrokenRow, dataset: DialogueSet) -> None:
        """Count a row; a good one whose pictures cannot be decoded is broken."""
        if isinstance(example, BrokenRow):
            self._broken(example)
            return
        try:
            sizes = [picture.check() for picture in example.pictures]
            digests = digests_of(example)
        except Unfit as error:
            self._broken(BrokenRow.of(error, example.row, example.file))
            return
        self.num_good += 1
        self.num_text_only += not example.pictures
        self.turns.append(len(example.turns))
        self.chars.append(example.num_chars)
        self.widths += [width for width, _ in sizes]
        self.heights += [height for _, height in sizes]
        self.digests.update(digests)
        self.parts[part_of(example, digests, dataset.settings.split) or "between parts"] += 1

    def _broken(self, row: BrokenRow) -> None:
        self.num_broken += 1
        self.rules[row.rule] += 1
        if (
            self.rules[row.rule] <= _BROKEN_SHOWN_OF_A_RULE
            and len(self.first_broken) < _BROKEN_SHOWN
        ):
            self.first_broken.append(row)
