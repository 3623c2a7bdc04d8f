"""OpenAI's and Hugging Face's ``messages``: roles, contents in parts, tool calls.

Source: OpenAI, chat completions (https://platform.openai.com/docs/api-reference/chat); TRL,
dataset formats (https://huggingface.co/docs/trl/dataset_formats).
"""

import json
from collections.abc import Mapping
from typing import ClassVar

from typing_extensions import override

from rankscope.models.data.dialogue import IMAGE_MARKER, Role, Turn, Unfit
from rankscope.models.data.files.contract import Format, Record, Told
from rankscope.models.data.files.fields import (
    is_blank_system,
    key_of,
    pictures_in,
    text_of,
    told,
    turns_in,
    with_prompt,
)
from rankscope.models.data.files.settings import Columns

_ROLES: dict[str, Role] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
    "tool": "tool",
    "function": "tool",
}
_PLACES = ("messages", "conversations")
_PICTURE_KEYS = ("image_url", "image", "url", "path")


class Messages(Format):
    """``{"messages": [{"role", "content": text or parts, "tool_calls"}, ...], "images": [...]}``.

    A part is a text, a picture of its own, or the place of the row's next picture. A tool call is
    one line of JSON in the assistant's text, and so is each of the row's tools in the system turn.
    """

    name: ClassVar[str] = "messages"

    @override
    def fits(self, record: Record, columns: Columns) -> bool:
        del columns
        turns = next((record[place] for place in _PLACES if record.get(place)), None)
        return isinstance(turns, list) and isinstance(turns[0], dict) and "role" in turns[0]

    @override
    def read(self, record: Record, columns: Columns) -> Told:
        turns: list[Turn] = []
        own: list[object] = []
        for role, content, turn in turns_in(
            record, _PLACES, who="role", what="content", roles=_ROLES
        ):
            if not is_blank_system(role, content):
                turns.append(Turn(role, _text(turn, own)))
        listed = pictures_in(record, columns)
        if own and listed:
            raise Unfit(
                "pictures must stand in the parts or in a list beside them",
                f"{len(own)} in parts and {len(listed)} in the list",
                "keep one of the two",
            )
        return Told(with_prompt(record, turns), tuple(own) or listed, key_of(record, columns))


def _text(turn: Mapping[str, object], pictures: list[object]) -> str:
    """What is said and called, a line each; pictures found in parts are added to ``pictures``."""
    content, calls = turn.get("content"), turn.get("tool_calls") or ()
    if not isinstance(calls, list | tuple):
        raise Unfit("tool_calls must be a list", told(calls), "write it as one")
    if isinstance(content, list):
        said = [_part(part, pictures) for part in content]
    else:
        said = [] if content is None and calls else [text_of(content)]
    return "\n".join(filter(None, [*said, *map(_call, calls)]))


def _part(part: object, pictures: list[object]) -> str:
    kind = part.get("type") if isinstance(part, dict) else None
    if isinstance(part, dict) and kind == "text":
        return text_of(part.get("text"))
    if isinstance(part, dict) and kind in ("image", "image_url"):
        picture = next((part[key] for key in _PICTURE_KEYS if part.get(key)), None)
        if kind == "image_url" and isinstance(picture, dict):
            picture = picture.get("url")
        if picture is not None:
            pictures.append(picture)
        return IMAGE_MARKER
    raise Unfit(
        "a part of a content must be of type text, image or image_url",
        told(kind if isinstance(part, dict) else part),
        "take it out",
    )


def _call(call: object) -> str:
    """A tool call as one line; arguments that are JSON in a string are written out."""
    function = call.get("function", call) if isinstance(call, Mapping) else None
    name = function.get("name") if isinstance(function, Mapping) else None
    if not isinstance(function, Mapping) or not isinstance(name, str):
        raise Unfit(
            "a tool call must have a function with a name", told(call), "add it or take it out"
        )
    arguments = function.get("arguments")
    if isinstance(arguments, str):
        try:
            arguments = json.loads(arguments)
        except ValueError as error:
            raise Unfit(
                "arguments of a tool call must be JSON", told(arguments), "mend them"
            ) from error
    try:
        return json.dumps({"name": name, "arguments": arguments}, ensure_ascii=False)
    except TypeError as error:
        raise Unfit(
            "arguments of a tool call must be JSON", told(arguments), "write them as JSON"
        ) from error
