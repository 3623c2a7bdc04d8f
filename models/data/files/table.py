"""Tables: one question, one answer and a picture a row."""

from typing import ClassVar

from typing_extensions import override

from rankscope.models.data.dialogue import IMAGE_MARKER, Turn, Unfit
from rankscope.models.data.files.contract import Format, Record, Told
from rankscope.models.data.files.fields import key_of, pictures_in, told
from rankscope.models.data.files.settings import Columns


class Table(Format):
    """``question``, ``answer``, ``image``; a question without markers comes behind its pictures."""

    name: ClassVar[str] = "table"

    @override
    def fits(self, record: Record, columns: Columns) -> bool:
        return columns.question in record and columns.answer in record

    @override
    def read(self, record: Record, columns: Columns) -> Told:
        question = _text(record, columns.question)
        pictures = pictures_in(record, columns)
        if IMAGE_MARKER not in question:
            question = f"{IMAGE_MARKER}\n" * len(pictures) + question
        turns = (Turn("user", question), Turn("assistant", _text(record, columns.answer)))
        return Told(turns, pictures, key_of(record, columns))


def _text(record: Record, column: str) -> str:
    cell = record.get(column)
    if isinstance(cell, str):
        return cell
    if isinstance(cell, int) and not isinstance(cell, bool):
        return str(cell)
    raise Unfit(
        f"column {column} must hold text or whole numbers",
        told(cell),
        "change it, or name another column under columns",
    )
