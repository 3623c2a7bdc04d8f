"""May this server listen at all, and is there somebody who can sign in? Asked before it does."""

from pydantic import ValidationError
from sqlalchemy import Engine

from rankscope.app.door.origins import is_loopback
from rankscope.app.settings import WebSettings
from rankscope.models.reading import ConfigError
from rankscope.storage.accounts import add_account, has_accounts
from rankscope.storage.errors import AccountRefusedError


def admit(engine: Engine, web: WebSettings, host: str) -> None:
    """Add the first administrator if one is given, and refuse to be open to a network.

    Raises:
        ConfigError: If others than this machine could come in and nobody has to sign in, or the
            first administrator's name or password will not do.
    """
    if has_accounts(engine):
        return
    if web.admin_name or web.admin_password:
        _add_first(engine, web)
    elif not web.is_open(host):
        reached_by = host if not is_loopback(host) else web.public_url
        raise ConfigError(
            "an address that others can reach needs accounts, there is none and people would come "
            f"in by {reached_by}; run: rankscope user add NAME --role admin"
        )


def read_web_settings() -> WebSettings:
    """The settings of this process.

    Raises:
        ConfigError: One line that names the variable.
    """
    try:
        return WebSettings()
    except ValidationError as error:
        raise ConfigError(
            "; ".join(one["msg"].removeprefix("Value error, ") for one in error.errors())
        ) from error


def _add_first(engine: Engine, web: WebSettings) -> None:
    if not web.admin_name or web.admin_password is None:
        raise ConfigError(
            "RANKSCOPE_ADMIN_NAME and RANKSCOPE_ADMIN_PASSWORD belong together, got only one; "
            "set both"
        )
    try:
        add_account(engine, web.admin_name, web.admin_password.get_secret_value(), "admin")
    except AccountRefusedError as error:
        if not has_accounts(engine):  # else another process was faster
            raise ConfigError(f"RANKSCOPE_ADMIN_NAME, RANKSCOPE_ADMIN_PASSWORD: {error}") from error
