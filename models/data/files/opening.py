"""From what a person says about their data to data that can be read."""

from fnmatch import fnmatchcase
from itertools import islice
from pathlib import Path, PurePosixPath

from rankscope.models.confined import Folder
from rankscope.models.data.dialogue import Unfit
from rankscope.models.data.files import FORMATS
from rankscope.models.data.files.arrow_files import ParquetFile
from rankscope.models.data.files.contract import BrokenRow, Format, Record, Row, Source
from rankscope.models.data.files.csv_table import CsvTable
from rankscope.models.data.files.hf import HUB, HubSplit, saved_files
from rankscope.models.data.files.json_files import JsonArray, JsonLines, first_byte
from rankscope.models.data.files.picture_folder import PictureFolder
from rankscope.models.data.files.pictures import Gallery
from rankscope.models.data.files.reading import DialogueSet, rows_of
from rankscope.models.data.files.settings import DialogueData, FileData, HubData

_SUFFIXES = (".json", ".jsonl", ".ndjson", ".csv", ".tsv", ".parquet")
_ROWS_LOOKED_AT = 1000
"""Broken rows before the first good one; behind more of them something else is wrong."""


def open_data(settings: FileData | HubData, data_root: Path) -> DialogueSet:
    """Find the data and their format; of the rows only the first good one is read.

    Args:
        settings: What the person says.
        data_root: The folder below which an operator lets people name files.

    Raises:
        Unfit: If there are no such data, or their format cannot be told.
    """
    if isinstance(settings, HubData):
        hub = HubSplit(settings.id, HUB + settings.id, settings)
        return _dialogues(settings.id, (hub,), None, settings)
    root = Folder.at(data_root)
    sources, home = _sources(settings, root)
    images = root.folder(settings.image_root) if settings.image_root else home
    return _dialogues(settings.path, sources, images, settings)


def _dialogues(
    name: str, sources: tuple[Source, ...], images: Folder | None, settings: DialogueData
) -> DialogueSet:
    chosen = _format(sources, settings)
    return DialogueSet(name, chosen, sources, Gallery(images, settings.limits), settings)


def _sources(settings: FileData, root: Folder) -> tuple[tuple[Source, ...], Folder]:
    """Where the rows are, and the folder of that place."""
    path = PurePosixPath(settings.path)
    parent = "" if path.parent == PurePosixPath() else str(path.parent)
    if "*" in path.name:
        home = root.folder(parent)
        names = sorted(p.name for p in home.path.iterdir() if fnmatchcase(p.name, path.name))
        if not names:
            raise Unfit("a pattern must match a file", repr(settings.path), "correct it")
        paths = [str(path.with_name(name)) for name in names]
        return tuple(_file(name, root, settings) for name in paths), home
    if not root.has_folder(settings.path):
        return (_file(settings.path, root, settings),), root.folder(parent)
    home = root.folder(settings.path)
    pictures = PictureFolder(settings.path, home, settings.folder_question, settings.columns)
    return saved_files(home) or (pictures,), home


def _file(name: str, root: Folder, settings: FileData) -> Source:
    path, max_bytes = root.file(name), settings.limits.max_row_bytes
    match path.suffix.lower():
        case ".json":
            return _json(path, name, max_bytes)
        case ".jsonl" | ".ndjson":
            return JsonLines(path, name, max_bytes)
        case ".csv" | ".tsv":
            return CsvTable(path, name)
        case ".parquet":
            return ParquetFile(path, name)
        case suffix:
            raise Unfit(
                f"a data file must end with one of {', '.join(_SUFFIXES)}",
                repr(suffix or name),
                "convert it, or name a folder",
            )


def _json(path: Path, name: str, max_bytes: int) -> Source:
    """An array, or a row a line, which some people call .json, too."""
    if first_byte(path) != b"{":
        return JsonArray(path, name, max_bytes)
    lines = JsonLines(path, name, max_bytes)
    if isinstance(next(rows_of(lines)), BrokenRow):
        raise Unfit(
            "a JSON file must be an array of rows, or have a row a line",
            "one object over several lines",
            "write the array of its rows alone",
            where=name,
        )
    return lines


def _format(sources: tuple[Source, ...], settings: DialogueData) -> Format:
    if settings.format != "auto":
        return next(known for known in FORMATS if known.name == settings.format)
    record = _first_record(sources)
    for known in FORMATS:
        if known.fits(record, settings.columns):
            return known
    columns = settings.columns
    raise Unfit(
        f"rows must have conversations, messages, or {columns.question} and {columns.answer}",
        ", ".join(map(str, record)) or "no column",
        "name the columns under columns, or the format",
        where=f"{sources[0].name}, first row",
    )


def _first_record(sources: tuple[Source, ...]) -> Record:
    first_broken: BrokenRow | None = None
    for source in sources:
        for row in islice(rows_of(source), _ROWS_LOOKED_AT):
            if isinstance(row, Row):
                return row.record
            first_broken = first_broken or row
    raise Unfit(
        "data must have a row that can be read",
        "broken rows" if first_broken else "no row",
        f"mend it, first {first_broken}" if first_broken else "fill the file",
        where=sources[0].name,
    )
