"""LLaVA's JSON: ``image`` and ``conversations`` of human and gpt.

Source: LLaVA, docs/Finetune_Custom_Data.md (https://github.com/haotian-liu/LLaVA).
"""

from typing import ClassVar

from typing_extensions import override

from rankscope.models.data.dialogue import Role
from rankscope.models.data.files.contract import Format, Record, Told
from rankscope.models.data.files.fields import (
    is_blank_system,
    key_of,
    pictures_in,
    spoken,
    turns_in,
)
from rankscope.models.data.files.settings import Columns

_ROLES: dict[str, Role] = {"system": "system", "human": "user", "gpt": "assistant"}


class Llava(Format):
    """``{"id", "image": path or list, "conversations": [{"from": "human", "value"}, ...]}``."""

    name: ClassVar[str] = "llava"

    @override
    def fits(self, record: Record, columns: Columns) -> bool:
        turns = record.get("conversations")
        return (
            columns.image in record
            and isinstance(turns, list)
            and all(isinstance(turn, dict) and turn.get("from") in _ROLES for turn in turns)
        )

    @override
    def read(self, record: Record, columns: Columns) -> Told:
        turns = turns_in(record, ("conversations",), who="from", what="value", roles=_ROLES)
        return Told(
            tuple(spoken(role, text) for role, text, _ in turns if not is_blank_system(role, text)),
            pictures_in(record, columns),
            key_of(record, columns),
        )
