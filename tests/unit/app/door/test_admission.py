"""May a server listen, and who is its first administrator?"""

from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import Engine

from rankscope.app.door.admission import admit
from rankscope.app.settings import WebSettings
from rankscope.models.reading import ConfigError
from rankscope.storage.accounts import add_account, list_accounts, verify_password
from rankscope.storage.database import migrate, open_database

PASSWORD = "correct horse battery"  # noqa: S105
EVERYWHERE = "0.0.0.0"  # noqa: S104


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    opened = open_database(f"sqlite:///{tmp_path}/rankscope.db")
    migrate(opened)
    yield opened
    opened.dispose()


def first(name: str | None, password: str | None) -> WebSettings:
    return WebSettings(admin_name=name, admin_password=SecretStr(password) if password else None)


def test_this_machine_alone_needs_no_account(engine: Engine) -> None:
    admit(engine, WebSettings(), "127.0.0.1")
    assert list_accounts(engine) == []


@pytest.mark.parametrize(
    ("web", "host"),
    [
        (WebSettings(), EVERYWHERE),
        (WebSettings(), "192.168.1.5"),
        (WebSettings(public_url="https://ranks.example.org"), "127.0.0.1"),
    ],
)
def test_others_may_come_only_when_they_have_to_sign_in(
    engine: Engine, web: WebSettings, host: str
) -> None:
    with pytest.raises(ConfigError, match="run: rankscope user add NAME --role admin"):
        admit(engine, web, host)
    add_account(engine, "ada", PASSWORD, "viewer")
    admit(engine, web, host)


def test_the_first_administrator_is_added_once(engine: Engine) -> None:
    admit(engine, first("root", PASSWORD), EVERYWHERE)
    found = verify_password(engine, "root", PASSWORD)
    assert found is not None
    assert found.role == "admin"
    admit(engine, first("other", "another horse battery"), EVERYWHERE)
    assert [account.name for account in list_accounts(engine)] == ["root"]


@pytest.mark.parametrize(
    ("web", "message"),
    [
        (first("root", "short"), "RANKSCOPE_ADMIN_PASSWORD: a password must have 12"),
        (first("ro ot", PASSWORD), "RANKSCOPE_ADMIN_NAME.*an account's name must be"),
        (first("root", None), "belong together"),
        (first(None, PASSWORD), "belong together"),
    ],
)
def test_a_first_administrator_who_will_not_do_is_refused(
    engine: Engine, web: WebSettings, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        admit(engine, web, EVERYWHERE)
    assert list_accounts(engine) == []
