"""Accounts, on both databases."""

import pytest
from argon2 import PasswordHasher
from sqlalchemy import Engine, update

from rankscope.storage import tables
from rankscope.storage.accounts import (
    add_account,
    find_account,
    has_accounts,
    list_accounts,
    remove_account,
    set_password,
    set_role,
    verify_password,
)
from rankscope.storage.database import writing
from rankscope.storage.errors import AccountRefusedError
from rankscope.storage.tokens import create_token, verify_token

PASSWORD = "correct horse battery"  # noqa: S105


def test_an_account_is_known_by_its_password_alone(engine: Engine) -> None:
    assert not has_accounts(engine)
    add_account(engine, "ada", PASSWORD, "operator")
    assert has_accounts(engine)
    found = verify_password(engine, "ada", PASSWORD)
    assert found is not None
    assert (found.name, found.role) == ("ada", "operator")
    assert found == find_account(engine, "ada")
    assert verify_password(engine, "ada", PASSWORD + " ") is None
    assert verify_password(engine, "Ada", PASSWORD) is None
    assert verify_password(engine, "ada", "x" * 100_000) is None
    assert PASSWORD not in found.password_hash


def test_a_new_password_makes_the_old_one_worthless(engine: Engine) -> None:
    add_account(engine, "ada", PASSWORD, "viewer")
    set_password(engine, "ada", "another horse battery")
    assert verify_password(engine, "ada", PASSWORD) is None
    assert verify_password(engine, "ada", "another horse battery") is not None


def test_a_name_is_taken_once(engine: Engine) -> None:
    add_account(engine, "ada", PASSWORD, "viewer")
    with pytest.raises(AccountRefusedError, match="must be new, ada exists"):
        add_account(engine, "ada", PASSWORD, "admin")
    assert [account.role for account in list_accounts(engine)] == ["viewer"]


@pytest.mark.parametrize("name", ["", "a b", "a/b", "x" * 65, "<b>", "a\n"])
def test_a_name_that_makes_no_sense_is_refused(engine: Engine, name: str) -> None:
    with pytest.raises(AccountRefusedError, match="name must be 1 to 64"):
        add_account(engine, name, PASSWORD, "viewer")


@pytest.mark.parametrize("password", ["", "eleven chars"[:11], "x" * 1025])
def test_a_password_too_short_or_too_long_is_refused(engine: Engine, password: str) -> None:
    with pytest.raises(AccountRefusedError, match="12 to 1024 characters"):
        add_account(engine, "ada", password, "viewer")
    assert not has_accounts(engine)


def test_who_does_not_exist_can_be_neither_changed_nor_removed(engine: Engine) -> None:
    for change in (
        lambda: set_password(engine, "bob", PASSWORD),
        lambda: set_role(engine, "bob", "admin"),
        lambda: remove_account(engine, "bob"),
        lambda: find_account(engine, "bob"),
    ):
        with pytest.raises(AccountRefusedError, match="must exist, got 'bob'"):
            change()


def test_a_token_has_the_role_of_its_owner_and_goes_with_it(engine: Engine) -> None:
    add_account(engine, "ada", PASSWORD, "admin")
    token = create_token(engine, owner="ada", role="admin").plaintext
    other = create_token(engine, owner="bob", role="operator").plaintext
    set_role(engine, "ada", "viewer")
    known = verify_token(engine, token)
    assert known is not None
    assert known.role == "viewer"
    remove_account(engine, "ada")
    assert verify_token(engine, token) is None
    assert verify_token(engine, other) is not None


def test_a_hash_of_older_parameters_is_renewed_when_the_password_is_known(engine: Engine) -> None:
    add_account(engine, "ada", PASSWORD, "viewer")
    old = PasswordHasher(time_cost=1, memory_cost=8192).hash(PASSWORD)
    with writing(engine) as connection:
        connection.execute(update(tables.Account).values(password_hash=old))
    assert verify_password(engine, "ada", "wrong") is None
    assert find_account(engine, "ada").password_hash == old
    found = verify_password(engine, "ada", PASSWORD)
    assert found is not None
    assert found.password_hash != old
    assert find_account(engine, "ada") == found
    assert verify_password(engine, "ada", PASSWORD) == found


def test_a_broken_hash_lets_nobody_in(engine: Engine) -> None:
    add_account(engine, "ada", PASSWORD, "viewer")
    with writing(engine) as connection:
        connection.execute(update(tables.Account).values(password_hash="broken"))  # noqa: S106
    assert verify_password(engine, "ada", PASSWORD) is None
