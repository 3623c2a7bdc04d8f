"""The signed cookie: what it stands for, and when it is worthless."""

import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from rankscope.app.door import sessions as module
from rankscope.app.door.identity import Person
from rankscope.app.door.sessions import LIFETIME_S, RENEW_AFTER_S, Sessions, signing_key
from rankscope.storage.accounts import (
    add_account,
    find_account,
    remove_account,
    set_password,
    set_role,
)
from rankscope.storage.database import migrate, open_database

PASSWORD = "correct horse battery"  # noqa: S105
KEY = "k" * 32


class Clock:
    """Stands in for the clock that signs and reads; moved by hand."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def time(self) -> float:
        return self.now


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    opened = open_database(f"sqlite:///{tmp_path}/rankscope.db")
    migrate(opened)
    add_account(opened, "ada", PASSWORD, "operator")
    yield opened
    opened.dispose()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    monkeypatch.setattr("itsdangerous.timed.time", clock)
    return clock


@pytest.fixture
def sessions(engine: Engine) -> Sessions:
    return Sessions(engine, KEY, is_open=True, is_https=False)


def test_a_cookie_stands_for_its_account(engine: Engine, sessions: Sessions) -> None:
    read = sessions.read(sessions.sign(find_account(engine, "ada")))
    assert read is not None
    assert read.person == Person("ada", "operator")
    assert not read.is_old


@pytest.mark.parametrize("cookie", ["", "x", "a.b.c", "W10.x.y", "é"])
def test_a_forged_cookie_stands_for_nobody(sessions: Sessions, cookie: str) -> None:
    assert sessions.read(cookie) is None


def test_a_cookie_of_another_key_stands_for_nobody(engine: Engine, sessions: Sessions) -> None:
    other = Sessions(engine, "o" * 32, is_open=True, is_https=False)
    assert sessions.read(other.sign(find_account(engine, "ada"))) is None


def test_a_cookie_is_old_after_a_day_and_worthless_after_two_weeks(
    engine: Engine, sessions: Sessions, clock: Clock
) -> None:
    cookie = sessions.sign(find_account(engine, "ada"))
    clock.now += RENEW_AFTER_S + 1
    read = sessions.read(cookie)
    assert read is not None
    assert read.is_old
    renewed = sessions.renew(read.person)
    clock.now += LIFETIME_S - RENEW_AFTER_S
    assert sessions.read(cookie) is None
    assert sessions.read(renewed) is not None


def test_a_changed_role_holds_from_the_next_look_at_the_accounts(
    engine: Engine, sessions: Sessions
) -> None:
    cookie = sessions.sign(find_account(engine, "ada"))
    set_role(engine, "ada", "viewer")
    sessions.refresh()
    read = sessions.read(cookie)
    assert read is not None
    assert read.person.role == "viewer"


def test_a_changed_password_and_a_removed_account_end_every_cookie(
    engine: Engine, sessions: Sessions
) -> None:
    cookie = sessions.sign(find_account(engine, "ada"))
    set_password(engine, "ada", "another horse battery")
    sessions.refresh()
    assert sessions.read(cookie) is None
    cookie = sessions.sign(find_account(engine, "ada"))
    remove_account(engine, "ada")
    sessions.refresh()
    assert sessions.read(cookie) is None


def test_without_accounts_everybody_is_an_administrator_only_where_it_is_open(
    engine: Engine,
) -> None:
    assert Sessions(engine, KEY, is_open=True, is_https=False).anyone() is None
    remove_account(engine, "ada")
    person = Sessions(engine, KEY, is_open=True, is_https=False).anyone()
    assert person is not None
    assert person.role == "admin"
    closed = Sessions(engine, KEY, is_open=False, is_https=False)
    assert closed.anyone() is None
    assert closed.needs_sign_in


def test_the_key_is_made_once_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    home = tmp_path / "home"
    keys: list[str] = []
    threads = [threading.Thread(target=lambda: keys.append(signing_key(home))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(keys) == 8
    assert len(set(keys)) == 1
    assert len(keys[0]) == 64
    assert stat.S_IMODE((home / "cookie.key").stat().st_mode) == 0o600
    assert [file.name for file in home.iterdir()] == ["cookie.key"]
