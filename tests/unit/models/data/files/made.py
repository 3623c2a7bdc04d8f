"""Small data sets of every kind, written to a folder."""

import csv
import json
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image

from rankscope.models.data.dialogue import Example
from rankscope.models.data.files.contract import BrokenRow
from rankscope.models.data.files.opening import open_data
from rankscope.models.data.files.reading import DialogueSet
from rankscope.models.data.files.settings import FileData


def photo(
    color: str | tuple[int, int, int] = "red", size: tuple[int, int] = (4, 3), kind: str = "PNG"
) -> bytes:
    """An encoded picture of one colour."""
    encoded = BytesIO()
    Image.new("RGB", size, color).save(encoded, kind)
    return encoded.getvalue()


def put(folder: Path, name: str, content: bytes | str) -> Path:
    """A file with this content."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def opened(root: Path, path: str, **settings: Any) -> DialogueSet:
    """A data set under ``root``."""
    return open_data(FileData.model_validate({"path": path, **settings}), root)


def good(dataset: DialogueSet) -> list[Example]:
    """All rows, none of which may be broken."""
    rows = list(dataset.examples())
    assert not [row for row in rows if isinstance(row, BrokenRow)], rows
    return [row for row in rows if isinstance(row, Example)]


def broken(dataset: DialogueSet) -> list[BrokenRow]:
    """The broken rows."""
    return [row for row in dataset.examples("decoded") if isinstance(row, BrokenRow)]


def asked(question: str, answer: str, **more: object) -> dict[str, object]:
    """A row of LLaVA's format."""
    turns = [{"from": "human", "value": question}, {"from": "gpt", "value": answer}]
    return {"conversations": turns, **more}


def put_csv(folder: Path, name: str, rows: Sequence[Mapping[str, object]]) -> Path:
    """The rows as a CSV file."""
    path = folder / name
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def put_json(folder: Path, name: str, rows: object) -> Path:
    """The rows as one JSON array."""
    return put(folder, name, json.dumps(rows))


def put_lines(folder: Path, name: str, rows: Sequence[object]) -> Path:
    """The rows as JSON lines."""
    return put(folder, name, "".join(json.dumps(row) + "\n" for row in rows))
