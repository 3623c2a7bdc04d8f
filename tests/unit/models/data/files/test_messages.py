"""OpenAI's and Hugging Face's messages."""

import base64
from pathlib import Path
from typing import Any

import pytest

from rankscope.models.data.dialogue import Unfit
from rankscope.models.data.files.contract import Told
from rankscope.models.data.files.messages import Messages
from rankscope.models.data.files.settings import Columns
from tests.unit.models.data.files.made import good, opened, photo, put_lines


def read(*turns: Any, **more: Any) -> Told:
    return Messages().read({"messages": list(turns), **more}, Columns())


def test_parts_become_lines_with_markers_in_their_place() -> None:
    content = [
        {"type": "text", "text": "Compare", "image": None},
        {"type": "image", "image": "a.png", "text": None},
        {"type": "text", "text": "and"},
        {"type": "image_url", "image_url": {"url": "b.png", "detail": "low"}},
        {"type": "image_url", "image_url": "c.png"},
    ]
    told = read({"role": "user", "content": content}, {"role": "assistant", "content": "Done."})
    assert told.turns[0].text == "Compare\n<image>\nand\n<image>\n<image>"
    assert told.pictures == ("a.png", "b.png", "c.png")


def test_a_part_may_only_mark_the_place_of_a_listed_picture() -> None:
    content = [{"type": "image"}, {"type": "text", "text": "What?"}]
    told = read({"role": "user", "content": content}, images=["a.png"])
    assert (told.turns[0].text, told.pictures) == ("<image>\nWhat?", ("a.png",))
    with pytest.raises(Unfit, match="got 1 in parts and 1 in the list; keep one of the two"):
        read({"role": "user", "content": [{"type": "image", "path": "a.png"}]}, images=["b.png"])


def test_tool_calls_are_lines_of_json_behind_what_is_said() -> None:
    calls = [
        {"type": "function", "function": {"name": "zoom", "arguments": '{"by": 2}'}},
        {"function": {"name": "crop", "arguments": {"left": 1, "to": "Köln"}}},
    ]
    told = read(
        {"role": "developer", "content": "Be brief."},
        {"role": "user", "content": "Look."},
        {"role": "assistant", "content": "I will.", "tool_calls": calls},
        {"role": "tool", "content": "done", "tool_call_id": "1"},
        {"role": "assistant", "content": None, "tool_calls": calls[:1]},
        {"role": "function", "content": "done"},
        {"role": "assistant", "content": "", "tool_calls": calls[:1]},
        tools=[{"name": "zoom"}],
    )
    zoom = '{"name": "zoom", "arguments": {"by": 2}}'
    assert [(turn.role, turn.text) for turn in told.turns] == [
        ("system", 'Be brief.\n\nTools:\n{"name": "zoom"}'),
        ("user", "Look."),
        (
            "assistant",
            f'I will.\n{zoom}\n{{"name": "crop", "arguments": {{"left": 1, "to": "Köln"}}}}',
        ),
        ("tool", "done"),
        ("assistant", zoom),
        ("tool", "done"),
        ("assistant", zoom),
    ]


@pytest.mark.parametrize(
    ("turn", "message"),
    [
        ({"role": "robot", "content": "x"}, "\"role\" must be one of .*, got 'robot'"),
        ({"role": "user", "content": 7}, "content must be text, got 7"),
        ({"role": "user", "content": None}, "content must be text, got nothing"),
        (
            {"role": "user", "content": [{"type": "input_audio"}]},
            "must be of type text, image or image_url, got 'input_audio'; take it out",
        ),
        ({"role": "user", "content": ["x"]}, "must be of type text, image or image_url, got 'x'"),
        ({"role": "user", "content": [{"type": "text"}]}, "content must be text, got nothing"),
        ({"role": "assistant", "tool_calls": "zoom()"}, "tool_calls must be a list, got 'zoom"),
        ({"role": "assistant", "tool_calls": [{}]}, "must have a function with a name, got dict"),
        ({"role": "assistant", "tool_calls": ["zoom"]}, "must have a function with a name, got 'z"),
        (
            {"role": "assistant", "tool_calls": [{"name": "zoom", "arguments": "{by"}]},
            "arguments of a tool call must be JSON, got '{by'; mend them",
        ),
    ],
)
def test_a_broken_turn_says_what_is_wrong(turn: dict[str, Any], message: str) -> None:
    with pytest.raises(Unfit, match=message):
        read(turn)


def test_pictures_may_come_in_base64_as_chats_send_them(tmp_path: Path) -> None:
    url = "data:image/png;base64," + base64.b64encode(photo()).decode()
    rows = [
        {
            "messages": [
                {"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]},
                {"role": "assistant", "content": "Red."},
            ]
        }
    ]
    put_lines(tmp_path, "chat.jsonl", rows)
    (example,) = good(opened(tmp_path, "chat.jsonl"))
    assert example.pictures[0].open().getpixel((0, 0)) == (255, 0, 0)
