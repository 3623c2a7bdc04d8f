"""From what a run says about its data to the parts that it trains, measures and scores on."""

from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from rankscope.models.data import AnyDataset
from rankscope.models.data.contract import VqaDataset
from rankscope.models.data.files.hashing import Progress
from rankscope.models.data.files.kept import KeptRows
from rankscope.models.data.files.loading import Parts, load_parts
from rankscope.models.data.files.opening import open_data
from rankscope.models.data.files.settings import FileData, HubData
from rankscope.models.data.parts import DataPart, DialoguePart, Splits
from rankscope.models.data.record import DataRecord
from rankscope.models.roots import Roots

MAX_SKILLS = 40
"""Kept apart, the most frequent; accuracies by the others are one, called so:"""
OTHER_SKILLS = "other skills"


@dataclass(frozen=True)
class LoadedData:
    """The parts of a data set, and what is to be remembered of it.

    Args:
        splits: The parts.
        record: What was read; None where the settings alone say what the data hold.
    """

    splits: Splits[DataPart]
    record: DataRecord | None


def load_data(
    data: AnyDataset, image_size_px: int, roots: Roots, on_rows: Progress = lambda _: None
) -> LoadedData:
    """Draw or read all parts.

    Args:
        data: What a run says.
        image_size_px: Side of pictures that are drawn, or published at one size.
        roots: Where files may lie, and pictures that were prepared.
        on_rows: Is told how many rows were read.

    Raises:
        ValueError: If the data cannot be read, or broken rows are to be refused.
    """
    if isinstance(data, VqaDataset):
        return LoadedData(splits=_drawn(data, image_size_px, roots.cache), record=None)
    return _read(data, roots, on_rows)


@lru_cache(maxsize=8)
def _drawn(data: VqaDataset, image_size_px: int, cache: Path) -> Splits[DataPart]:
    """Many runs in one process draw or read their pictures once."""
    return data.load(image_size_px, cache)


def _read(data: FileData | HubData, roots: Roots, on_rows: Progress) -> LoadedData:
    parts = load_parts(open_data(data, roots.data), roots.pictures, progress=on_rows)
    all_parts = (parts.train, parts.probe, parts.validation, parts.test)
    counted = Counter(skill for part in all_parts for skill in part.skills if skill)
    told = frozenset(skill for skill, _ in counted.most_common(MAX_SKILLS))
    train, probe, validation, test = (_part(part, told) for part in all_parts)
    splits: Splits[DataPart] = Splits(train, probe, validation, test)
    return LoadedData(splits=splits, record=_record(parts))


def _part(rows: KeptRows, told: frozenset[str]) -> DialoguePart:
    return DialoguePart(
        rows,
        tuple(_skill(*row, told) for row in zip(rows.skills, rows.num_pictures, strict=True)),
        tuple(rows.num_chars),
        tuple(number > 0 for number in rows.num_pictures),
    )


def _skill(skill: str, num_pictures: int, told: frozenset[str]) -> str:
    """What the data say, or what can be told of any dialogue: how many pictures it is about."""
    if skill:
        return skill if skill in told else OTHER_SKILLS
    match num_pictures:
        case 0:
            return "text alone"
        case 1:
            return "one picture"
        case _:
            return "several pictures"


def _record(parts: Parts) -> DataRecord:
    return DataRecord(
        content_hash=parts.content_hash,
        num_rows=parts.num_rows,
        num_broken=parts.num_broken,
        num_between_parts=parts.num_between_parts,
        broken=tuple(str(row) for row in parts.broken),
    )
