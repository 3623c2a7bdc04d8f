"""Accounts of people: name, role and an argon2 hash of the password."""

import re
from datetime import UTC, datetime
from typing import NamedTuple, cast

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import Engine, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from rankscope.storage import tables
from rankscope.storage.choices import Role
from rankscope.storage.database import writing
from rankscope.storage.errors import AccountRefusedError

MIN_PASSWORD_LENGTH = 12
MAX_PASSWORD_LENGTH = 1024
_NAME = re.compile(r"[\w.@+-]{1,64}")


class Account(NamedTuple):
    """A person who signs in."""

    name: str
    role: Role
    password_hash: str
    created_at: datetime


def add_account(engine: Engine, name: str, password: str, role: Role) -> None:
    """Add a person.

    Raises:
        AccountRefusedError: If the name is taken or makes no sense, or the password is too short.
    """
    if not _NAME.fullmatch(name):
        raise AccountRefusedError(
            "an account's name must be 1 to 64 letters, digits or any of . _ @ + -, "
            f"got {name!r}; choose another"
        )
    row = {
        "name": name,
        "role": role,
        "password_hash": _hash(password),
        "created_at": datetime.now(UTC),
    }
    try:
        with writing(engine) as connection:
            connection.execute(insert(tables.Account).values(row))
    except IntegrityError as error:
        raise AccountRefusedError(
            f"an account's name must be new, {name} exists; choose another, "
            f"or: rankscope user password {name}"
        ) from error


def set_password(engine: Engine, name: str, password: str) -> None:
    """Give a person a new password; every cookie signed for the old one becomes worthless."""
    _change(engine, name, {"password_hash": _hash(password)})


def set_role(engine: Engine, name: str, role: Role) -> None:
    """Give a person, and the tokens that act for it, another role."""
    _change(engine, name, {"role": role})
    tokens = update(tables.ApiToken).where(tables.ApiToken.owner == name)
    with writing(engine) as connection:
        connection.execute(tokens.values(role=role))


def remove_account(engine: Engine, name: str) -> None:
    """Remove a person and revoke its tokens; the runs it launched stay."""
    tokens = update(tables.ApiToken).where(
        tables.ApiToken.owner == name, tables.ApiToken.revoked_at.is_(None)
    )
    with writing(engine) as connection:
        removed = connection.execute(delete(tables.Account).where(tables.Account.name == name))
        connection.execute(tokens.values(revoked_at=datetime.now(UTC)))
    if removed.rowcount == 0:
        raise _unknown(name)


def list_accounts(engine: Engine) -> list[Account]:
    """All accounts, by name."""
    columns = (
        tables.Account.name,
        tables.Account.role,
        tables.Account.password_hash,
        tables.Account.created_at,
    )
    with engine.connect() as connection:
        rows = connection.execute(select(*columns).order_by(tables.Account.name)).all()
    return [
        Account(row.name, cast("Role", row.role), row.password_hash, row.created_at) for row in rows
    ]


def find_account(engine: Engine, name: str) -> Account:
    """The account of that name.

    Raises:
        AccountRefusedError: If there is none.
    """
    for account in list_accounts(engine):
        if account.name == name:
            return account
    raise _unknown(name)


def has_accounts(engine: Engine) -> bool:
    """Whether anybody can sign in."""
    with engine.connect() as connection:
        return connection.execute(select(tables.Account.name).limit(1)).first() is not None


def verify_password(engine: Engine, name: str, password: str) -> Account | None:
    """The account if the password is its own; an unknown name takes as long as a known one.

    A hash made with older parameters is replaced, now that the password is known.
    """
    hasher = PasswordHasher()
    account = next((one for one in list_accounts(engine) if one.name == name), None)
    if len(password) > MAX_PASSWORD_LENGTH:
        return None
    if account is None:
        hasher.hash(password)  # the same work as a check
        return None
    try:
        hasher.verify(account.password_hash, password)
    except (VerificationError, InvalidHashError):
        return None
    if not hasher.check_needs_rehash(account.password_hash):
        return account
    renewed = account._replace(password_hash=hasher.hash(password))
    _change(engine, name, {"password_hash": renewed.password_hash})
    return renewed


def _change(engine: Engine, name: str, values: dict[str, str]) -> None:
    changed = update(tables.Account).where(tables.Account.name == name).values(values)
    with writing(engine) as connection:
        if connection.execute(changed).rowcount == 0:
            raise _unknown(name)


def _hash(password: str) -> str:
    """Argon2id with the library's parameters (RFC 9106, low-memory profile)."""
    if not MIN_PASSWORD_LENGTH <= len(password) <= MAX_PASSWORD_LENGTH:
        raise AccountRefusedError(
            f"a password must have {MIN_PASSWORD_LENGTH} to {MAX_PASSWORD_LENGTH} characters, "
            f"got {len(password)}; choose another"
        )
    return PasswordHasher().hash(password)


def _unknown(name: str) -> AccountRefusedError:
    return AccountRefusedError(f"an account must exist, got {name!r}; see: rankscope user list")
