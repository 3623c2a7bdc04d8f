"""ShareGPT's JSON, ShareGPT4V and dialogues with tools."""

from pathlib import Path

import pytest

from rankscope.models.data.dialogue import Unfit
from rankscope.models.data.files.settings import Columns
from rankscope.models.data.files.sharegpt import ShareGpt
from tests.unit.models.data.files.made import asked, good, opened, photo, put, put_json

READ = ShareGpt().read
COLUMNS = Columns()


def test_a_call_of_a_function_is_the_assistants_and_an_observation_the_tools() -> None:
    record = {
        "conversations": [
            {"from": "human", "value": "Weather?"},
            {"from": "function_call", "value": '{"name": "weather"}'},
            {"from": "observation", "value": "sunny"},
            {"from": "gpt", "value": "It is sunny."},
        ],
        "system": "Use tools.",
        "tools": '[{"name": "weather"}]',
    }
    told = READ(record, COLUMNS)
    assert [turn.role for turn in told.turns] == [
        "system",
        "user",
        "assistant",
        "tool",
        "assistant",
    ]
    assert told.turns[0].text == 'Use tools.\n\nTools:\n[{"name": "weather"}]'
    assert told.turns[2].text == '{"name": "weather"}'


def test_sharegpt4v_and_rows_with_lists_of_pictures_are_read(tmp_path: Path) -> None:
    put(tmp_path, "pictures/1.png", photo())
    rows = [
        asked("No picture.", "None.", id="0"),
        asked("<image> What?", "Red.", id="1", image="1.png"),
        asked("<image> And <image>?", "Red.", id="2", images=["1.png", "1.png"]),
    ]
    put_json(tmp_path, "train.json", rows)
    dataset = opened(tmp_path, "train.json", image_root="pictures")
    assert dataset.format.name == "sharegpt"
    assert [len(example.pictures) for example in good(dataset)] == [0, 1, 2]


def test_turns_may_stand_under_messages_too() -> None:
    told = READ({"messages": asked("Hello.", "Hi.")["conversations"]}, COLUMNS)
    assert [turn.text for turn in told.turns] == ["Hello.", "Hi."]


def test_an_unknown_speaker_is_refused() -> None:
    with pytest.raises(Unfit, match="got 'bing'; rename the speaker, or name another format"):
        READ({"conversations": [{"from": "bing", "value": "x"}]}, COLUMNS)
