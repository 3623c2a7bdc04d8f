from pathlib import Path

import pytest

from rankscope.storage.settings import Settings


def test_everything_lives_under_the_home_by_default(tmp_path: Path) -> None:
    settings = Settings(rankscope_home=tmp_path)
    assert settings.database_url == f"sqlite:///{tmp_path}/rankscope.db"
    assert settings.runs_dir == tmp_path / "runs"


def test_the_environment_decides(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("RANKSCOPE_HOME", str(tmp_path))
    monkeypatch.setenv("DATABASE_URL", "postgresql://ada:secret@host/name")
    settings = Settings()
    assert settings.runs_dir == tmp_path / "runs"
    assert settings.database_url == "postgresql://ada:secret@host/name"


def test_the_password_is_hidden_wherever_settings_are_shown() -> None:
    settings = Settings(database_url="postgresql://ada:secret@host/name")
    assert "secret" not in f"{settings} {settings!r} {settings.safe_url}"
    assert settings.safe_url == "postgresql://ada:***@host/name"
