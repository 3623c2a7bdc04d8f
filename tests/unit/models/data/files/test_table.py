"""Tables of questions and answers."""

from pathlib import Path

import pytest

from rankscope.models.data.dialogue import Unfit
from rankscope.models.data.files.settings import Columns
from rankscope.models.data.files.table import Table
from tests.unit.models.data.files.made import good, opened, photo, put, put_csv

READ = Table().read


def test_a_question_comes_behind_its_pictures_unless_it_places_them_itself() -> None:
    row = {"question": "What?", "answer": 3, "image": ["a.png", "b.png"]}
    told = READ(row, Columns())
    assert [turn.text for turn in told.turns] == ["<image>\n<image>\nWhat?", "3"]
    told = READ({**row, "question": "Is <image> like <image>?"}, Columns())
    assert told.turns[0].text == "Is <image> like <image>?"
    assert READ({**row, "image": None}, Columns()).turns[0].text == "What?"


def test_columns_may_be_called_otherwise(tmp_path: Path) -> None:
    put(tmp_path, "photos/1.png", photo())
    put_csv(
        tmp_path,
        "items.csv",
        [{"Frage": "Farbe?", "Antwort": "Rot", "Bild": "1.png", "nr": "x1", "image": "no.png"}],
    )
    columns = {"question": "Frage", "answer": "Antwort", "image": "Bild", "key": "nr"}
    dataset = opened(tmp_path, "items.csv", columns=columns, image_root="photos")
    assert dataset.format.name == "table"
    (example,) = good(dataset)
    assert (example.key, example.turns[0].text) == ("x1", "<image>\nFarbe?")
    assert example.pictures[0].name == "1.png"


@pytest.mark.parametrize("answer", [None, True, 0.5, ["a", "b"], b"a"])
def test_an_answer_that_is_neither_text_nor_a_whole_number_is_refused(answer: object) -> None:
    with pytest.raises(Unfit, match="column answer must hold text or whole numbers, got "):
        READ({"question": "What?", "answer": answer}, Columns())
