"""Who is signed in: a signed cookie, checked against the accounts as of a second or two ago."""

import getpass
import hashlib
import os
import secrets
import time
from http.cookies import SimpleCookie
from pathlib import Path
from typing import NamedTuple

from itsdangerous import BadSignature, URLSafeTimedSerializer
from sqlalchemy import Engine
from starlette.datastructures import MutableHeaders

from rankscope.app.door.identity import Person
from rankscope.storage.accounts import Account, list_accounts

COOKIE = "rankscope_session"
LIFETIME_S = 14 * 24 * 3600
RENEW_AFTER_S = 24 * 3600
"""A cookie that is in use is signed anew once a day, so that only idle ones expire."""
_SALT = "rankscope.session.1"


class Session(NamedTuple):
    """A valid cookie."""

    person: Person
    is_old: bool


class Sessions:
    """Signs cookies and reads them; the check touches no database, so it never waits for one.

    ``refresh`` is called every second or two: a changed password, a changed role and a removed
    account therefore take effect within that time, and at once in the process that changed them.

    Args:
        engine: Where the accounts are.
        key: Signs the cookies.
        is_open: Whether everybody is an administrator while there are no accounts.
        is_https: Whether browsers reach us through TLS, and cookies must not go elsewhere.
    """

    def __init__(self, engine: Engine, key: str, *, is_open: bool, is_https: bool) -> None:
        self._engine = engine
        self._signer = URLSafeTimedSerializer(
            key, salt=_SALT, signer_kwargs={"digest_method": hashlib.sha256}
        )
        self._is_open = is_open
        self.is_https = is_https
        self._owner = Person(getpass.getuser(), "admin")
        self._accounts: dict[str, Account] = {}
        self.refresh()

    def refresh(self) -> None:
        """Read the accounts again."""
        self._accounts = {account.name: account for account in list_accounts(self._engine)}

    @property
    def needs_sign_in(self) -> bool:
        """Whether people have to sign in."""
        return not self._is_open or bool(self._accounts)

    def anyone(self) -> Person | None:
        """Whom everybody is without signing in, if that is how this server is run."""
        return None if self.needs_sign_in else self._owner

    def sign(self, account: Account) -> str:
        """A cookie for somebody who just proved to be ``account``."""
        return str(self._signer.dumps([account.name, _fingerprint(account)]))

    def renew(self, person: Person) -> str:
        """A fresh cookie for somebody who holds a valid one."""
        return self.sign(self._accounts[person.name])

    def read(self, cookie: str) -> Session | None:
        """Whom a cookie stands for; None if it is forged, expired or overtaken by a change."""
        try:
            (name, fingerprint), signed_at = self._signer.loads(
                cookie, max_age=LIFETIME_S, return_timestamp=True
            )
        except (BadSignature, ValueError, TypeError):
            return None
        account = self._accounts.get(name)
        if account is None or not secrets.compare_digest(fingerprint, _fingerprint(account)):
            return None
        is_old = time.time() - signed_at.timestamp() > RENEW_AFTER_S
        return Session(Person(account.name, account.role), is_old)


def set_cookie(headers: MutableHeaders, value: str, *, is_https: bool) -> None:
    """Hand the browser its cookie; an empty value takes it away."""
    morsel: SimpleCookie = SimpleCookie()
    morsel[COOKIE] = value
    morsel[COOKIE]["path"] = "/"
    morsel[COOKIE]["max-age"] = LIFETIME_S if value else 0
    morsel[COOKIE]["httponly"] = True
    morsel[COOKIE]["samesite"] = "Lax"
    if is_https:
        morsel[COOKIE]["secure"] = True
    headers.append("set-cookie", morsel.output(header="").strip())


def signing_key(home: Path) -> str:
    """The key in ``home``, readable by its owner only; made by the first process that asks."""
    file = home.expanduser() / "cookie.key"
    file.parent.mkdir(parents=True, exist_ok=True)
    fresh = file.with_name(f"{file.name}.{secrets.token_hex(8)}")
    if not file.exists():
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as opened:
            opened.write(secrets.token_hex(32))
        try:
            os.link(fresh, file)  # whole or not at all, and never over another process's key
        except FileExistsError:
            pass
        finally:
            fresh.unlink()
    return file.read_text().strip()


def _fingerprint(account: Account) -> str:
    """Changes with the password, and tells nothing about its hash."""
    return hashlib.sha256(account.password_hash.encode()).hexdigest()[:32]
