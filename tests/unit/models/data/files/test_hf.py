"""Hugging Face data sets: saved to disk, and streamed."""

import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from rankscope.models.data.dialogue import Unfit
from rankscope.models.data.files.contract import BrokenRow, Row
from rankscope.models.data.files.hf import HubSplit
from rankscope.models.data.files.opening import open_data
from rankscope.models.data.files.settings import HubData
from tests.unit.models.data.files.made import good, opened, photo, put, put_lines

HUB = HubData(id="owner/name")


def test_without_the_package_the_error_names_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(
        Unfit, match=r"^owner/name: .* need the package datasets.*rankscope\[data\]"
    ):
        open_data(HUB, tmp_path)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    put(tmp_path, "a.parquet", "PAR1")
    with pytest.raises(Unfit, match=r"need the package pyarrow, got none.*rankscope\[data\]"):
        opened(tmp_path, "a.parquet")


def test_a_folder_of_several_splits_asks_for_one(tmp_path: Path) -> None:
    put(tmp_path, "set/dataset_dict.json", '{"splits": ["train", "test"]}')
    with pytest.raises(Unfit, match=r"got the folder of \['train', 'test'\]; put .*: set/train"):
        opened(tmp_path, "set")


@pytest.mark.parametrize("state", ["{", "[]", '{"_data_files": 3}'])
def test_a_damaged_saved_data_set_is_refused(tmp_path: Path, state: str) -> None:
    put(tmp_path, "set/state.json", state)
    with pytest.raises(Unfit, match="a saved data set must"):
        opened(tmp_path, "set")


def features(datasets: Any) -> Any:
    text = datasets.Value("string")
    return datasets.Features({"question": text, "answer": text, "image": datasets.Image()})


class TestWithTheRealPackage:
    @pytest.fixture(autouse=True)
    def datasets(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
        monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
        return import_module("datasets")

    def test_what_save_to_disk_writes_is_read(self, tmp_path: Path, datasets: Any) -> None:
        """Shuffled, so that the package has to write its order down; pictures as its feature."""
        rows = {
            "question": ["What?", "Who?", "Why?"],
            "answer": ["1", "2", "3"],
            "image": [{"bytes": photo((n, 0, 0)), "path": f"{n}.png"} for n in range(3)],
        }
        whole = datasets.Dataset.from_dict(rows, features=features(datasets))
        shuffled = whole.shuffle(seed=1)
        shuffled.save_to_disk(tmp_path / "set", num_shards=2)
        examples = good(opened(tmp_path, "set"))
        assert [example.turns[1].text for example in examples] == list(shuffled["answer"])
        assert examples[0].pictures[0].check() == (4, 3)
        datasets.DatasetDict({"train": whole}).save_to_disk(tmp_path / "splits")
        assert len(good(opened(tmp_path, "splits/train"))) == 3
        with pytest.raises(Unfit, match="put its name behind the path: splits/train"):
            opened(tmp_path, "splits")

    def test_streamed_rows_bring_their_pictures_still_encoded(
        self, tmp_path: Path, datasets: Any
    ) -> None:
        rows = {"question": ["What?"], "answer": ["Red."], "image": [{"bytes": photo()}]}
        table = datasets.Dataset.from_dict(rows, features=features(datasets))
        (tmp_path / "set").mkdir()
        table.to_parquet(tmp_path / "set" / "train.parquet")
        (row,) = HubSplit("owner/name", str(tmp_path / "set"), HUB).rows()
        assert isinstance(row, Row)
        assert row.record["image"] == {"bytes": photo(), "path": None}

    def test_a_stream_that_breaks_off_ends_with_a_broken_row(self, tmp_path: Path) -> None:
        put_lines(tmp_path, "set/train-1.jsonl", [{"question": "What?", "answer": "Red."}] * 3)
        put(tmp_path, "set/train-2.jsonl", '{"question": ')
        rows = list(HubSplit("owner/name", str(tmp_path / "set"), HUB).rows())
        assert [isinstance(row, BrokenRow) for row in rows] == [False, False, False, True]
        assert "must be readable to its end, got " in str(rows[-1])

    def test_a_hub_out_of_reach_is_one_clear_error(self, tmp_path: Path) -> None:
        with pytest.raises(
            Unfit, match=r"^owner/name: .* must be within reach, got .*; check its n"
        ):
            open_data(HUB, tmp_path)
