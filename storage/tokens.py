"""API tokens: 256 random bits, shown once; the database keeps their SHA-256.

A plain hash suffices because the token itself is random: there is nothing to guess that salt or
slow hashing would protect. Passwords are another matter (argon2).
"""

import hashlib
import secrets
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import pandas as pd
from sqlalchemy import Engine, insert, select, update

from rankscope.storage.choices import Role
from rankscope.storage.database import writing
from rankscope.storage.errors import StorageError
from rankscope.storage.ids import new_id
from rankscope.storage.tables import ApiToken

PREFIX = "rks_"
"""So that scanners of leaked secrets, and people, recognise one."""
_LAST_USED_EVERY = timedelta(minutes=1)
"""Reading must not become writing: ``last_used_at`` is as coarse as this."""


class NewToken(NamedTuple):
    """A token just made; ``plaintext`` is never to be seen again."""

    id: str
    plaintext: str


class TokenIdentity(NamedTuple):
    """Whom a valid token stands for."""

    id: str
    owner: str
    role: Role


def create_token(engine: Engine, *, owner: str, role: Role, name: str = "") -> NewToken:
    """Make a token for a program that acts as ``owner``."""
    token = NewToken(new_id(), PREFIX + secrets.token_urlsafe(32))
    row = {
        "id": token.id,
        "token_sha256": _hash(token.plaintext),
        "name": name,
        "owner": owner,
        "role": role,
        "created_at": datetime.now(UTC),
    }
    with writing(engine) as connection:
        connection.execute(insert(ApiToken).values(row))
    return token


def verify_token(engine: Engine, plaintext: str) -> TokenIdentity | None:
    """Whom the token stands for; None if it is unknown or revoked."""
    now = datetime.now(UTC)
    is_valid = ApiToken.token_sha256 == _hash(plaintext)
    columns = (ApiToken.id, ApiToken.owner, ApiToken.role, ApiToken.last_used_at)
    statement = select(*columns).where(is_valid, ApiToken.revoked_at.is_(None))
    with engine.connect() as connection:
        row = connection.execute(statement).one_or_none()
    if row is None:
        return None
    if row.last_used_at is None or now - row.last_used_at > _LAST_USED_EVERY:
        with writing(engine) as connection:
            used = update(ApiToken).where(ApiToken.id == row.id).values(last_used_at=now)
            connection.execute(used)
    return TokenIdentity(row.id, row.owner, row.role)


def revoke_token(engine: Engine, token_id: str) -> None:
    """Make a token worthless at once; revoking twice keeps the first time.

    Raises:
        StorageError: If there is no such token.
    """
    now = datetime.now(UTC)
    is_this = ApiToken.id == token_id
    with writing(engine) as connection:
        known = connection.execute(select(ApiToken.id).where(is_this)).one_or_none()
        if known is None:
            raise StorageError(
                f"a token's id must exist, got {token_id!r}; see them in the list of tokens"
            )
        revoked = update(ApiToken).where(is_this, ApiToken.revoked_at.is_(None))
        connection.execute(revoked.values(revoked_at=now))


def list_tokens(engine: Engine) -> pd.DataFrame:
    """All tokens without their secrets, newest first."""
    columns = (
        ApiToken.id,
        ApiToken.name,
        ApiToken.owner,
        ApiToken.role,
        ApiToken.created_at,
        ApiToken.last_used_at,
        ApiToken.revoked_at,
    )
    with engine.connect() as connection:
        result = connection.execute(select(*columns).order_by(ApiToken.created_at.desc()))
        return pd.DataFrame([tuple(row) for row in result], columns=list(result.keys()))


def _hash(plaintext: str) -> str:
    return hashlib.sha256(plaintext.encode("utf-8", "replace")).hexdigest()
