from pathlib import Path

import pytest

from rankscope.storage.artifacts import RunFolder
from rankscope.storage.errors import PathRefusedError
from rankscope.storage.ids import new_id
from rankscope.storage.settings import Settings


def folder(home: Path) -> RunFolder:
    return RunFolder(Settings(rankscope_home=home), new_id())


@pytest.mark.parametrize("bad", ["../x", "a/../../x", "/etc/passwd", "a/..", "a\0b"])
def test_a_path_that_leaves_the_folder_is_refused(tmp_path: Path, bad: str) -> None:
    with pytest.raises(PathRefusedError, match="must stay within"):
        folder(tmp_path).inside(bad)


def test_a_link_out_of_the_folder_is_refused_and_one_within_is_not(tmp_path: Path) -> None:
    run = folder(tmp_path / "home")
    run.make()
    (run.path / "out").symlink_to(tmp_path)
    (run.path / "data").mkdir()
    (run.path / "within").symlink_to(run.path / "data")
    with pytest.raises(PathRefusedError):
        run.inside("out/secret")
    assert run.inside("within/file").parent.name == "within"


@pytest.mark.parametrize("bad", ["..", "", "../other", "0123456789/..", "01234567.9"])
def test_a_folder_needs_a_runs_id(tmp_path: Path, bad: str) -> None:
    with pytest.raises(PathRefusedError, match="its id"):
        RunFolder(Settings(rankscope_home=tmp_path), bad)


def test_a_folder_that_is_a_link_elsewhere_is_refused(tmp_path: Path) -> None:
    run_id, settings = new_id(), Settings(rankscope_home=tmp_path / "home")
    settings.runs_dir.mkdir(parents=True)
    (settings.runs_dir / run_id).symlink_to(tmp_path)
    with pytest.raises(PathRefusedError):
        RunFolder(settings, run_id)


def test_the_tail_of_a_log_is_its_last_lines_whatever_its_size(tmp_path: Path) -> None:
    run = folder(tmp_path)
    assert run.log_tail() == []
    run.make()
    lines = [f"line {number} ünïcode" for number in range(20_000)]
    run.log_path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    for num_lines in (1, 10, 15_000, 30_000):
        assert run.log_tail(num_lines) == lines[-num_lines:]
