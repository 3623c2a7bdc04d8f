"""The hash of what a data set holds."""

import hashlib
from pathlib import Path

import pytest

from rankscope.models.data.files.hashing import content_hash
from tests.unit.models.data.files.made import asked, opened, photo, put, put_json, put_lines


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "first"
    put(folder, "a.png", photo())
    put_json(
        folder, "rows.json", [asked("<image>?", "Red.", image="a.png"), asked("Hi.", "Hello.")]
    )
    return folder


def test_the_hash_is_that_of_the_rows_as_lines_of_json(root: Path) -> None:
    """Of two lines: key, turns, SHA-256 of each picture."""
    picture = hashlib.sha256(photo()).hexdigest()
    lines = (
        f'["1",[["user","<image>?"],["assistant","Red."]],["{picture}"]]\n'
        '["2",[["user","Hi."],["assistant","Hello."]],[]]\n'
    )
    seen: list[int] = []
    found = content_hash(opened(root, "rows.json"), seen.append)
    assert found == hashlib.sha256(lines.encode()).hexdigest()
    assert seen == [1, 2]


def test_the_hash_is_the_same_after_a_move_and_from_another_kind_of_file(root: Path) -> None:
    before = content_hash(opened(root, "rows.json"))
    moved = root.rename(root.with_name("second"))
    assert content_hash(opened(moved, "rows.json")) == before
    assert content_hash(opened(moved.parent, "second/rows.json")) == before
    (moved / "a.png").rename(moved / "b.png")
    rows = [asked("<image>?", "Red.", image="b.png"), asked("Hi.", "Hello.")]
    put_lines(moved, "rows.jsonl", rows)
    assert content_hash(opened(moved, "rows.jsonl")) == before


def test_one_byte_of_a_text_or_a_picture_changes_it(root: Path) -> None:
    before = content_hash(opened(root, "rows.json"))
    rows = (root / "rows.json").read_text()
    put(root, "rows.json", rows.replace("Red.", "Rad."))
    changed_text = content_hash(opened(root, "rows.json"))
    put(root, "rows.json", rows)
    put(root, "a.png", photo() + b"\0")
    changed_picture = content_hash(opened(root, "rows.json"))
    assert len({before, changed_text, changed_picture}) == 3


def test_words_cannot_move_from_one_turn_to_the_next_unseen(root: Path) -> None:
    hashes = set()
    for question, answer in (("ab", "c"), ("a", "bc"), ('a","b', "c")):
        put_json(root, "rows.json", [asked(question, answer)])
        hashes.add(content_hash(opened(root, "rows.json")))
    assert len(hashes) == 3
