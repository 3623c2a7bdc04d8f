"""LLaVA's JSON."""

import re
from pathlib import Path
from typing import Any

import pytest

from tests.unit.models.data.files.made import asked, broken, good, opened, photo, put, put_json


def test_a_file_of_llava_rows_is_recognised_and_read(tmp_path: Path) -> None:
    put(tmp_path, "coco/1.png", photo())
    put(tmp_path, "coco/2.png", photo("blue"))
    rows = [
        asked("<image>\nWhat?", "Red.", id="r1", image="coco/1.png"),
        asked("Which is blue? <image> <image>", "The last.", image=["coco/1.png", "coco/2.png"]),
        asked("Text alone?", "Yes."),
    ]
    put_json(tmp_path, "train.json", rows)
    dataset = opened(tmp_path, "train.json")
    assert dataset.format.name == "llava"
    first, second, third = good(dataset)
    assert (first.key, first.row, first.file, second.key) == ("r1", 1, "train.json", "2")
    assert first.pictures[0].open().getpixel((0, 0)) == (255, 0, 0)
    assert [picture.name for picture in second.pictures] == ["coco/1.png", "coco/2.png"]
    assert (third.pictures, third.turns[1].text) == ((), "Yes.")


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"image": "a.png"}, "a list of turns in conversations, got nothing; add it"),
        ({"conversations": "hello"}, "a list of turns in conversations, got 'hello'"),
        ({"conversations": ["hello"]}, "a turn must be an object .*, got 'hello'; write it so"),
        (
            {"conversations": [{"from": "bot", "value": "x"}]},
            "\"from\" must be one of system, human, gpt, got 'bot'; rename the speaker, or name",
        ),
        ({"conversations": [{"value": "x"}]}, '"from" must be one of .*, got nothing'),
        (
            {"conversations": [{"from": "human"}]},
            "a turn's content must be text, got nothing; write it as text",
        ),
        (asked("<image> What?", "Red."), "got 1 for 0 pictures; write <image> where"),
        (asked("What?", "Red.", image="a.png"), "got 0 for 1 pictures"),
        (asked("<image> What?", "Red.", image="b.png"), "must exist, got 'b.png'; put it into"),
        (asked("<image> What?", "Red.", image=7), "a path, bytes, or a mapping of both, got 7"),
        (asked("<image> What?", "", image="a.png"), "must have text, got none from the assistant"),
        ("hello", "a row must be an object, got 'hello'; write it as {...}"),
    ],
)
def test_a_broken_row_says_what_is_wrong_and_the_next_is_read(
    tmp_path: Path, row: Any, message: str
) -> None:
    put(tmp_path, "a.png", photo())
    put_json(tmp_path, "train.json", [row, asked("<image>", "Red.", image="a.png")])
    dataset = opened(tmp_path, "train.json", format="llava")
    (only,) = broken(dataset)
    assert (only.row, only.file) == (1, "train.json")
    assert re.search(message, str(only)), only
    assert len(list(dataset.examples())) == 2


def test_an_empty_system_turn_says_nothing(tmp_path: Path) -> None:
    row = asked("What?", "Red.")
    row["conversations"] = [{"from": "system", "value": ""}, *list(row["conversations"])]  # type: ignore[call-overload]
    put_json(tmp_path, "train.json", [row])
    (example,) = good(opened(tmp_path, "train.json", format="llava"))
    assert [turn.role for turn in example.turns] == ["user", "assistant"]
