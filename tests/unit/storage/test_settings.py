from pathlib import Path

import pytest

from rankscope.storage.errors import UnusableRedisError
from rankscope.storage.redis_address import MAX_SOCKET_PATH_BYTES
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


def test_without_an_address_redis_is_the_private_server_of_the_home() -> None:
    settings = Settings(rankscope_home=Path("/home/ü home"), redis_url=None)
    assert settings.valkey_socket == Path("/home/ü home/valkey.sock")
    assert settings.live_url == "unix:///home/%C3%BC%20home/valkey.sock"
    assert settings.celery_broker_url == "redis+socket:///home/%C3%BC%20home/valkey.sock"


def test_an_empty_address_of_redis_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", "")
    assert Settings().redis_url is None


def test_a_home_too_deep_for_a_socket_gets_a_short_one_of_its_own(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 100)
    socket = Settings(rankscope_home=deep).valkey_socket
    assert len(bytes(socket)) <= MAX_SOCKET_PATH_BYTES
    assert socket == Settings(rankscope_home=deep).valkey_socket
    assert socket != Settings(rankscope_home=deep / "other").valkey_socket


@pytest.mark.parametrize(
    ("url", "broker"),
    [
        ("redis://:secret@host:6379/1", "redis://:secret@host:6379/1"),
        ("rediss://ada:secret@host/0", "rediss://ada:secret@host/0"),
        ("unix:///run/r.sock?db=2", "redis+socket:///run/r.sock?virtual_host=2"),
        ("unix://:secret@/run/r.sock", "redis+socket://:secret@/run/r.sock"),
    ],
)
def test_celery_gets_the_given_server_and_people_no_password(url: str, broker: str) -> None:
    settings = Settings(redis_url=url)
    assert settings.live_url == url
    assert settings.celery_broker_url == broker
    assert "secret" not in f"{settings} {settings!r} {settings.safe_redis_url}"


def test_people_see_where_redis_should_answer() -> None:
    assert Settings(redis_url="redis://ada:s@h:1/0").safe_redis_url == "redis://ada:***@h:1/0"
    url = "redis://h?password=s&db=1"
    assert Settings(redis_url=url).safe_redis_url == "redis://h?password=***&db=1"


@pytest.mark.parametrize("url", ["host:6379", "http://host", "redis://", "redis://h:x", "unix://"])
def test_an_address_that_names_no_redis_is_refused_with_the_remedy(url: str) -> None:
    with pytest.raises(UnusableRedisError, match=r"REDIS_URL must read redis://.*correct it"):
        Settings(redis_url=url)
