"""One ``rankscope up`` per home."""

from pathlib import Path

import pytest

from rankscope.app.up.home_lock import HomeLock
from rankscope.models.reading import ConfigError


def test_a_second_holder_is_refused_and_told_who_the_first_is(tmp_path: Path) -> None:
    first = HomeLock(tmp_path)
    assert first.take() == {}
    first.write({"pid": 7, "url": "http://127.0.0.1:7860", "children": []})
    with pytest.raises(ConfigError, match=r"has one \(process 7 at http://127.0.0.1:7860\)"):
        HomeLock(tmp_path).take()
    first.release()
    assert HomeLock(tmp_path).take() == {}


def test_a_shorter_word_replaces_a_longer_one(tmp_path: Path) -> None:
    lock = HomeLock(tmp_path)
    lock.take()
    lock.write({"children": [[1, 2.0], [3, 4.0]]})
    lock.write({"children": []})
    assert (tmp_path / "up.lock").read_text() == '{"children": []}'
    lock.release()


def test_what_a_killed_holder_wrote_is_handed_to_the_next(tmp_path: Path) -> None:
    (tmp_path / "up.lock").write_text('{"pid": 7, "children": [[8, 9.5]]}')
    lock = HomeLock(tmp_path)
    assert lock.take() == {"pid": 7, "children": [[8, 9.5]]}
    lock.release()


def test_a_broken_lock_file_is_taken_for_an_empty_one(tmp_path: Path) -> None:
    (tmp_path / "up.lock").write_text('{"pid": ')
    lock = HomeLock(tmp_path)
    assert lock.take() == {}
    lock.release()
