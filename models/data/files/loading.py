"""All rows at once: dealt to their parts, counted, hashed; broken ones refused or left out."""

from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import get_args

from rankscope.models.data.dialogue import Example, Picture, Unfit
from rankscope.models.data.files.contract import BrokenRow
from rankscope.models.data.files.hashing import ContentHash, Progress, digests_of
from rankscope.models.data.files.kept import KeptRows
from rankscope.models.data.files.reading import DialogueSet, PictureCheck
from rankscope.models.data.files.settings import PartName
from rankscope.models.data.files.splitting import part_of

_BROKEN_SHOWN = 10


@dataclass(frozen=True)
class Parts:
    """The four parts of a data set; no two share a picture (or a key, if it is split by keys).

    Args:
        train: To learn from.
        probe: For the scheduler.
        validation: For people and their choices.
        test: For the last word.
        num_rows: Read in all.
        broken: The first of the broken rows.
        num_broken: How many of them were left out.
        num_between_parts: How many were left out because they join pictures of different parts.
        content_hash: Of all good rows, those between parts included.
    """

    train: KeptRows
    probe: KeptRows
    validation: KeptRows
    test: KeptRows
    num_rows: int
    broken: tuple[BrokenRow, ...]
    num_broken: int
    num_between_parts: int
    content_hash: str


def load_parts(
    dataset: DialogueSet,
    folder: Path,
    *,
    check: PictureCheck = "decoded",
    progress: Progress = lambda _: None,
) -> Parts:
    """Read everything once; of the rows a few bytes each stay in memory, of the pictures nothing.

    Args:
        dataset: What to read.
        folder: Where pictures that lie in rows are kept as files, named by their hash, and texts as
            long as this process runs.
        check: How far pictures are tested.
        progress: Is told how many rows were read.

    Raises:
        Unfit: If a file cannot be read, if there are broken rows and they are to be refused, or if
            nothing is left to train on.
    """
    dealt = {name: KeptRows(folder) for name in get_args(PartName)}
    broken: list[BrokenRow] = []
    content, counts, num_rows = ContentHash(), Counter[str](), 0
    for num_rows, example in enumerate(dataset.examples(check), 1):
        progress(num_rows)
        if isinstance(example, BrokenRow):
            counts["broken"] += 1
            broken += [example] if len(broken) < _BROKEN_SHOWN else []
            continue
        digests = digests_of(example)
        content.add(example, digests)
        part = part_of(example, digests, dataset.settings.split)
        if part is None:
            counts["between parts"] += 1
        else:
            dealt[part].add(_in_files(example, digests, folder))
    if broken and dataset.settings.broken_rows == "refuse":
        raise _refusal(dataset.name, broken, counts["broken"], num_rows)
    if not dealt["train"]:
        raise Unfit(
            "there must be rows to train on",
            f"none of {num_rows:,}",
            "add rows, or lower the fractions of the other parts",
            where=dataset.name,
        )
    return Parts(
        train=dealt["train"],
        probe=dealt["probe"],
        validation=dealt["validation"],
        test=dealt["test"],
        num_rows=num_rows,
        broken=tuple(broken),
        num_broken=counts["broken"],
        num_between_parts=counts["between parts"],
        content_hash=content.hexdigest(),
    )


def _in_files(example: Example, digests: tuple[bytes, ...], folder: Path) -> Example:
    """The same example, its pictures as files."""
    pictures = (
        _as_file(picture, digest, folder)
        for picture, digest in zip(example.pictures, digests, strict=True)
    )
    return replace(example, pictures=tuple(pictures))


def _as_file(picture: Picture, digest: bytes, folder: Path) -> Picture:
    if not isinstance(picture.source, bytes):
        return picture
    name = digest.hex()
    path = folder / name[:2] / name
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f"{name}.part")
        part.write_bytes(picture.source)
        part.replace(path)  # so that a file of that name is always whole
    return Picture(picture.name, path, picture.where, picture.max_pixels)


def _refusal(name: str, broken: list[BrokenRow], num_broken: int, num_rows: int) -> Unfit:
    shown = "; ".join(f"({row})" for row in broken)
    return Unfit(
        "every row must be usable where broken_rows is refuse",
        f"{num_broken:,} broken of {num_rows:,}",
        f"mend them or set broken_rows to leave_out. First: {shown}",
        where=name,
    )
