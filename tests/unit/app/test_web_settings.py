"""Settings of the web process: what they accept and what they hide."""

import pytest

from rankscope.app.door.admission import read_web_settings
from rankscope.app.settings import WebSettings
from rankscope.models.reading import ConfigError

SECRET = "s" * 32


def test_secrets_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANKSCOPE_SECRET", SECRET)
    monkeypatch.setenv("RANKSCOPE_ADMIN_NAME", "root")
    monkeypatch.setenv("RANKSCOPE_ADMIN_PASSWORD", "correct horse battery")
    web = read_web_settings()
    assert web.secret is not None
    assert web.secret.get_secret_value() == SECRET
    assert SECRET not in repr(web)
    assert "horse" not in repr(web)


def test_empty_variables_are_taken_for_absent_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SECRET", "PUBLIC_URL", "ADMIN_NAME", "ADMIN_PASSWORD"):
        monkeypatch.setenv(f"RANKSCOPE_{name}", "")
    web = read_web_settings()
    assert (web.secret, web.public_url, web.admin_name, web.admin_password) == (None,) * 4


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("RANKSCOPE_SECRET", "short", "at least 32 characters, got 5; make one: openssl"),
        ("RANKSCOPE_PUBLIC_URL", "ranks.example.org", "must read https://HOST"),
        ("RANKSCOPE_PUBLIC_URL", "https://ranks.example.org/app", "leave out any path"),
        ("RANKSCOPE_PUBLIC_URL", "ftp://ranks.example.org", "must read https://HOST"),
        ("RANKSCOPE_PUBLIC_URL", "https://u:p@ranks.example.org", "must read https://HOST"),
    ],
)
def test_a_setting_that_makes_no_sense_is_refused_in_one_line(
    name: str, value: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError, match=message) as refused:
        read_web_settings()
    assert "\n" not in str(refused.value)


def test_only_a_loopback_address_that_others_do_not_reach_is_open() -> None:
    assert WebSettings().is_open("127.0.0.1")
    assert WebSettings(public_url="http://localhost:8080").is_open("::1")
    assert not WebSettings().is_open("0.0.0.0")  # noqa: S104
    assert not WebSettings(public_url="https://ranks.example.org").is_open("127.0.0.1")
