"""ShareGPT's JSON: ``conversations`` with system prompts and tools, pictures in ``images``.

Source: LLaMA-Factory, data/README.md, "Sharegpt Format" (https://github.com/hiyouga/LLaMA-Factory);
ShareGPT4V (https://github.com/ShareGPT4Omni/ShareGPT4V) names its one picture ``image``.
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
    with_prompt,
)
from rankscope.models.data.files.settings import Columns

_ROLES: dict[str, Role] = {
    "system": "system",
    "human": "user",
    "user": "user",
    "gpt": "assistant",
    "assistant": "assistant",
    "function_call": "assistant",
    "observation": "tool",
    "tool": "tool",
}
_PLACES = ("conversations", "messages")


class ShareGpt(Format):
    """``{"conversations": [{"from", "value"}, ...], "images": [...], "system", "tools"}``.

    A function call is text of the assistant, an observation the tool's turn; the row's tools stand
    at the end of the system turn.
    """

    name: ClassVar[str] = "sharegpt"

    @override
    def fits(self, record: Record, columns: Columns) -> bool:
        del columns
        turns = next((record[place] for place in _PLACES if record.get(place)), None)
        return isinstance(turns, list) and isinstance(turns[0], dict) and "from" in turns[0]

    @override
    def read(self, record: Record, columns: Columns) -> Told:
        spoken_turns = tuple(
            spoken(role, text)
            for role, text, _ in turns_in(record, _PLACES, who="from", what="value", roles=_ROLES)
            if not is_blank_system(role, text)
        )
        return Told(
            with_prompt(record, spoken_turns),
            pictures_in(record, columns),
            key_of(record, columns),
        )
