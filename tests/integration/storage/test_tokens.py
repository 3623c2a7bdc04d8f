import pytest
from sqlalchemy import Engine, text

from rankscope.storage.errors import StorageError
from rankscope.storage.tokens import create_token, list_tokens, revoke_token, verify_token


def test_a_token_stands_for_its_owner_until_it_is_revoked(engine: Engine) -> None:
    token = create_token(engine, owner="ada", role="operator", name="laptop")
    assert verify_token(engine, token.plaintext) == (token.id, "ada", "operator")
    assert list_tokens(engine)["last_used_at"].notna().all()
    revoke_token(engine, token.id)
    revoke_token(engine, token.id)
    assert verify_token(engine, token.plaintext) is None
    with pytest.raises(StorageError, match="nobody"):
        revoke_token(engine, "nobody")


def test_only_the_hash_of_a_token_is_stored(engine: Engine) -> None:
    token = create_token(engine, owner="ada", role="viewer")
    with engine.connect() as connection:
        stored = str(connection.execute(text("SELECT * FROM api_tokens")).all())
    assert token.plaintext not in stored
    assert token.plaintext.removeprefix("rks_") not in stored


@pytest.mark.parametrize("wrong", ["", "rks_", "rks_wrong", "\udcff", "a\0b"])
def test_a_wrong_token_stands_for_nobody(engine: Engine, wrong: str) -> None:
    create_token(engine, owner="ada", role="admin")
    assert verify_token(engine, wrong) is None
