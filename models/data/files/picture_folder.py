"""A folder of pictures: a subfolder for each answer."""

from collections.abc import Iterator
from dataclasses import dataclass

from typing_extensions import override

from rankscope.models.confined import Folder
from rankscope.models.data.dialogue import Unfit
from rankscope.models.data.files.contract import BrokenRow, Row, Source
from rankscope.models.data.files.settings import Columns

_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff")


@dataclass(frozen=True)
class PictureFolder(Source):
    """A row for every file of every subfolder, by name; what begins with a dot is passed over.

    Args:
        name: The folder, relative to the data root.
        folder: The same, to be read.
        question: Asked about every picture.
        columns: What the rows' columns shall be called.
    """

    name: str
    folder: Folder
    question: str
    columns: Columns

    @override
    def rows(self) -> Iterator[Row | BrokenRow]:
        answers = [name for name in _names(self.folder) if (self.folder.path / name).is_dir()]
        folders = [self.folder.folder(answer) for answer in answers]
        if not folders:
            raise Unfit(
                "a folder of pictures must have a subfolder for each answer",
                "none",
                "sort the pictures into subfolders, or name a table that lists them",
            )
        files = (
            f"{answer}/{name}"
            for answer, folder in zip(answers, folders, strict=True)
            for name in _names(folder)
        )
        for number, path in enumerate(files, 1):
            if path.lower().endswith(_SUFFIXES):
                yield Row(number, self._record(path))
            else:
                unfit = Unfit(
                    f"a file among pictures must end with one of {', '.join(_SUFFIXES)}",
                    repr(path),
                    "take it out",
                )
                yield BrokenRow.of(unfit, number, self.name)

    def _record(self, path: str) -> dict[str, object]:
        return {
            self.columns.key: path,
            self.columns.image: path,
            self.columns.question: self.question,
            self.columns.answer: path.split("/", maxsplit=1)[0],
        }


def _names(folder: Folder) -> list[str]:
    return sorted(path.name for path in folder.path.iterdir() if not path.name.startswith("."))
