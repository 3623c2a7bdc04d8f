"""From settings to the parts that a run uses."""

import json
from pathlib import Path

import pytest
from PIL import Image

from rankscope.models.data import FileData, Scenes
from rankscope.models.data.loading import MAX_SKILLS, OTHER_SKILLS, load_data
from rankscope.models.roots import Roots


def roots(folder: Path) -> Roots:
    return Roots(data=folder / "data", models=folder / "models", cache=folder / "cache")


def own(folder: Path, *more: object, **settings: object) -> FileData:
    """Forty questions about a picture each, and whatever rows are added."""
    (folder / "data").mkdir()
    rows: list[object] = []
    for number in range(40):
        Image.new("RGB", (4, 4), (number, 0, 0)).save(folder / "data" / f"{number}.png")
        rows.append({"question": "how red", "answer": f"{number}", "image": f"{number}.png"})
    text = "\n".join(json.dumps(row) for row in [*rows, *more])
    (folder / "data" / "own.jsonl").write_text(text)
    return FileData.model_validate({"path": "own.jsonl", **settings})


def test_built_in_data_need_no_record_and_are_drawn_once(tmp_path: Path) -> None:
    data = Scenes(train_items=32, probe_items=32, validation_items=32, test_items=1000)
    first, second = (load_data(data, 48, roots(tmp_path)) for _ in range(2))
    assert first.record is None
    assert first.splits is second.splits


def test_own_rows_are_dealt_to_parts_and_remembered(tmp_path: Path) -> None:
    split = {"probe_fraction": 0.2, "validation_fraction": 0.2, "test_fraction": 0.2}
    loaded = load_data(own(tmp_path, split=split), 48, roots(tmp_path))
    splits, record = loaded.splits, loaded.record
    assert record is not None
    parts = (splits.train, splits.probe, splits.validation, splits.test)
    assert sum(map(len, parts)) == record.num_rows == 40
    assert len({answer for part in parts for answer in part.answers}) == 40
    assert set(splits.train.skills) == {"one picture"}
    assert len(record.content_hash) == 64


def test_broken_rows_are_refused_or_left_out_and_counted(tmp_path: Path) -> None:
    data = own(tmp_path, {"question": "and", "answer": "?", "image": "none.png"})
    with pytest.raises(ValueError, match=r"row 41: a file .* must exist, got 'none.png'"):
        load_data(data, 48, roots(tmp_path))
    forgiving = data.model_copy(update={"broken_rows": "leave_out"})
    record = load_data(forgiving, 48, roots(tmp_path)).record
    assert record is not None
    assert (record.num_rows, record.num_broken) == (41, 1)
    assert "row 41" in record.broken[0]


def test_what_rows_say_they_test_is_what_accuracies_are_told_by(tmp_path: Path) -> None:
    data = own(
        tmp_path,
        *({"question": f"why {n}", "answer": "so", "category": "reasons"} for n in range(20)),
        columns={"skill": "category"},
    )
    splits = load_data(data, 48, roots(tmp_path)).splits
    assert set(splits.train.skills) == {"one picture", "reasons"}


def test_of_many_skills_the_rare_ones_are_told_as_one(tmp_path: Path) -> None:
    rows = [
        {"question": f"{n}", "answer": "so", "skill": f"skill {n % 60 if n < 120 else n % 40}"}
        for n in range(600)
    ]
    splits = load_data(own(tmp_path, *rows), 48, roots(tmp_path)).splits
    told = set(splits.train.skills) - {"one picture"}
    assert told == {*(f"skill {n}" for n in range(MAX_SKILLS)), OTHER_SKILLS}


def test_a_skill_that_is_no_name_breaks_its_row(tmp_path: Path) -> None:
    data = own(tmp_path, {"question": "a", "answer": "b", "skill": ["c"]})
    with pytest.raises(ValueError, match="column skill must hold text of at most 60 characters"):
        load_data(data, 48, roots(tmp_path))
