"""ShareGPT's JSON: ``conversations`` with system prompts and tools, pictures in ``images``.

Source: LLaMA-Factory, data/README.md, "Sharegpt Format" (https://github.com/hiyouga/LLaMA-Factory);
ShareGPT4V (https://github.com/ShareGPT4Omni/ShareGPT4V) names its one picture ``image``.
"""

from typing import ClassVar

from typing_extensions import override

from rankscope.models.data.dialogue import Role, Turn, Unfit
from rankscope.models.data.files.contract import Format, Record, Told
from rankscope.models.data.files.fields import (
    is_blank_system,
    key_of,
    pictures_in,
    spoken,
    told,
    turns_in,
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

    A function call is text of the assistant, an observation the tool's turn; what the row says of
    its tools stands at the end of the system turn.
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
            _with_prompt(record, spoken_turns),
            pictures_in(record, columns),
            key_of(record, columns),
        )


def _with_prompt(record: Record, turns: tuple[Turn, ...]) -> tuple[Turn, ...]:
    """The turns behind what ``system`` and ``tools`` say; a system turn wins over ``system``."""
    system, tools = _text(record, "system"), _text(record, "tools")
    if turns and turns[0].role == "system":
        system, turns = turns[0].text, turns[1:]
    prompt = "\n\n".join(filter(None, (system, f"Tools:\n{tools}" if tools else "")))
    return (Turn("system", prompt), *turns) if prompt else turns


def _text(record: Record, name: str) -> str:
    text = record.get(name)
    if text is None:
        return ""
    if not isinstance(text, str):
        raise Unfit(f"column {name} must hold text", told(text), "write it as text")
    return "" if text.strip() in ("", "[]") else text
