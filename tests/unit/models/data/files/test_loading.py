"""All rows at once, dealt to their parts."""

import tracemalloc
from itertools import combinations
from pathlib import Path

import pytest

from rankscope.models.data.dialogue import Example, Turn, Unfit
from rankscope.models.data.files.hashing import content_hash
from rankscope.models.data.files.kept import KeptRows
from rankscope.models.data.files.loading import Parts, load_parts
from tests.unit.models.data.files.made import asked, opened, photo, put, put_json

SPLIT = {"probe_fraction": 0.1, "validation_fraction": 0.2, "test_fraction": 0.3}


def dealt(parts: Parts) -> list[set[tuple[str, str]]]:
    return [
        {(example.turns[0].text, picture.name) for example in part for picture in example.pictures}
        for part in (parts.train, parts.probe, parts.validation, parts.test)
    ]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for index in range(40):
        put(tmp_path, f"{index}.png", photo((index, 0, 0)))
        put(tmp_path, f"copy-{index}.png", photo((index, 0, 0)))
    return tmp_path


def rows(first: int, last: int) -> list[dict[str, object]]:
    return [
        asked(f"<image>{index} {way}", "Red.", image=f"{way}{index}.png")
        for index in range(first, last)
        for way in ("", "copy-")
    ]


def test_parts_share_no_picture_and_nothing_moves_when_rows_are_added(root: Path) -> None:
    put_json(root, "rows.json", rows(0, 30))
    before = load_parts(opened(root, "rows.json", split=SPLIT), root / "kept")
    put_json(root, "rows.json", rows(0, 40))
    after = load_parts(opened(root, "rows.json", split=SPLIT), root / "kept")
    for parts in (before, after):
        digests = [
            {picture.digest() for example in part for picture in example.pictures}
            for part in (parts.train, parts.probe, parts.validation, parts.test)
        ]
        assert all(digests)
        assert all(one.isdisjoint(other) for one, other in combinations(digests, 2))
    assert (before.num_rows, after.num_rows) == (60, 80)
    assert all(old <= new for old, new in zip(dealt(before), dealt(after), strict=True))


def test_broken_rows_are_refused_and_named_or_left_out(root: Path) -> None:
    put_json(root, "rows.json", [*rows(0, 9), asked("<image>?", "Red.", image="no.png"), 3])
    seen: list[int] = []
    with pytest.raises(
        Unfit,
        match=r"^rows\.json: every row must be usable where broken_rows is refuse, got 2 broken of "
        r"20; mend them or set broken_rows to leave_out\. First: \(rows\.json row 19: .*"
        r"'no\.png'.*\); \(rows\.json row 20: ",
    ):
        load_parts(opened(root, "rows.json"), root / "kept", progress=seen.append)
    assert seen == list(range(1, 21))
    dataset = opened(root, "rows.json", broken_rows="leave_out")
    parts = load_parts(dataset, root / "kept")
    assert (parts.num_rows, parts.num_broken, [row.row for row in parts.broken]) == (
        20,
        2,
        [19, 20],
    )
    assert parts.content_hash == content_hash(dataset)


def test_rows_between_parts_are_counted(root: Path) -> None:
    both = [
        asked("<image><image>?", "No.", image=[f"{one}.png", f"{other}.png"])
        for one, other in combinations(range(8), 2)
    ]
    put_json(root, "rows.json", rows(0, 8) + both)
    parts = load_parts(opened(root, "rows.json", split=SPLIT), root / "kept")
    kept = len(parts.train) + len(parts.probe) + len(parts.validation) + len(parts.test)
    assert 0 < parts.num_between_parts == 16 + 28 - kept


def test_data_without_a_row_for_training_are_refused(root: Path) -> None:
    put_json(root, "rows.json", [3, 4])
    dataset = opened(root, "rows.json", format="llava", broken_rows="leave_out")
    with pytest.raises(Unfit, match=r"^rows\.json: there must be rows to train on, got none of 2;"):
        load_parts(dataset, root / "kept")


def test_pictures_that_lie_in_rows_are_kept_as_files(tmp_path: Path) -> None:
    uri = "data:image/png;base64,iVBORw0KGgo="
    put_json(tmp_path, "rows.json", [asked("<image>?", "Red.", images=[uri])] * 2)
    dataset = opened(tmp_path, "rows.json", split=dict.fromkeys(SPLIT, 0))
    folder = tmp_path / "kept"
    parts = load_parts(dataset, folder, check="found")
    (file,) = (path for path in folder.rglob("*") if path.is_file())
    assert file.read_bytes() == b"\x89PNG\r\n\x1a\n"
    assert file.name == parts.train[0].pictures[0].digest().hex()
    assert {picture.source for example in parts.train for picture in example.pictures} == {file}
    assert parts.content_hash == content_hash(dataset)


def test_kept_rows_are_the_very_rows_that_were_read(root: Path) -> None:
    """Turns of all roles, any letters, skills, several pictures and none."""
    dialogue = [
        {"role": "system", "content": "Ünïcode \U0001f600\nline"},
        {"role": "user", "content": "<image><image>?"},
        {"role": "assistant", "content": 'call("x")'},
        {"role": "tool", "content": ""},
        {"role": "assistant", "content": "Yes."},
    ]
    told = [
        {"id": "a", "messages": dialogue, "images": ["1.png", "2.png"], "skill": "tools"},
        {"id": "b", "messages": [*dialogue[:1], {"role": "user", "content": "?"}, dialogue[-1]]},
    ]
    put_json(root, "rows.json", told)
    dataset = opened(root, "rows.json", split=dict.fromkeys(SPLIT, 0))
    rows = load_parts(dataset, root / "kept").train
    expected = [example for example in dataset.examples() if isinstance(example, Example)]
    assert len(expected) == 2
    assert list(rows) == expected
    assert rows[-1] == expected[1]
    assert rows[0:2] == expected
    assert list(rows.num_chars) == [example.num_chars for example in expected]
    assert list(rows.num_pictures) == [2, 0]
    assert rows.skills == ["tools", ""]
    assert not [path for path in (root / "kept").rglob("*") if path.is_file()]
    with pytest.raises(IndexError):
        rows[2]


def test_a_large_set_takes_little_memory(root: Path) -> None:
    """30,000 rows of 4 kB each, 120 MB of text: Python's own memory grows by a thirtieth."""
    rows = KeptRows(root / "kept")
    text = "word " * 800
    tracemalloc.start()
    try:
        for number in range(30_000):
            turns = (Turn("user", f"{number}?"), Turn("assistant", text + str(number)))
            rows.add(Example(str(number), number + 1, (), turns))
        held_bytes, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held_bytes < 4_000_000
    assert rows[29_999].turns[1].text.endswith("29999")
