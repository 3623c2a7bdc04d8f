"""A folder of pictures with a subfolder for each answer."""

from pathlib import Path

import pytest

from rankscope.models.data.dialogue import Unfit
from rankscope.models.data.files.contract import BrokenRow
from tests.unit.models.data.files.made import broken, good, opened, photo, put


def test_the_subfolders_name_is_the_answer(tmp_path: Path) -> None:
    put(tmp_path, "pets/dog/b.JPG", photo("blue", kind="JPEG"))
    put(tmp_path, "pets/cat/a.png", photo())
    put(tmp_path, "pets/.hidden/c.png", photo())
    put(tmp_path, "pets/README.md", "Pets.")
    dataset = opened(tmp_path, "pets", folder_question="Which animal?", columns={"answer": "label"})
    cat, dog = good(dataset)
    assert (cat.key, dog.key) == ("cat/a.png", "dog/b.JPG")
    assert [turn.text for turn in dog.turns] == ["<image>\nWhich animal?", "dog"]
    assert dog.pictures[0].check() == (4, 3)


def test_what_is_no_picture_is_a_broken_row(tmp_path: Path) -> None:
    put(tmp_path, "pets/cat/a.png", photo())
    put(tmp_path, "pets/cat/b.txt", "a cat")
    put(tmp_path, "pets/cat/more/c.png", photo())
    put(tmp_path, "pets/cat/.DS_Store", "")
    (tmp_path / "pets" / "cat" / "d.png").symlink_to(tmp_path / "pets" / "cat" / "a.png")
    rows = broken(opened(tmp_path, "pets"))
    assert [(row.row, row.value) for row in rows] == [
        (2, "'cat/b.txt'"),
        (3, "'cat/d.png'"),
        (4, "'cat/more'"),
    ]
    assert all(isinstance(row, BrokenRow) and row.file == "pets" for row in rows)


def test_a_folder_without_subfolders_is_refused(tmp_path: Path) -> None:
    put(tmp_path, "pets/a.png", photo())
    with pytest.raises(Unfit, match=r"^pets: a folder of pictures must have a subfolder for each"):
        opened(tmp_path, "pets")
