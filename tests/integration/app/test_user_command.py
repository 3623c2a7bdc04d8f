"""``rankscope user`` at a shell and at a terminal."""

import os
import pty
import select
import subprocess
from pathlib import Path

import pytest

from rankscope.storage.accounts import verify_password
from rankscope.storage.database import open_database
from rankscope.storage.settings import Settings
from rankscope.storage.tokens import verify_token
from tests.helpers.command import CommandLine

PASSWORD = "correct horse battery"  # noqa: S105


def given(rankscope: CommandLine, password: str, *arguments: str) -> tuple[int, str]:
    """A command with the password on its standard input: exit code and all it said."""
    done = subprocess.run(
        rankscope.command(*arguments, "--password-stdin"),
        input=f"{password}\n",
        capture_output=True,
        text=True,
        env=rankscope.environment,
        timeout=120,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def settings(home: Path) -> Settings:
    return Settings(rankscope_home=home, database_url=f"sqlite:///{home}/rankscope.db")


def test_people_are_added_listed_changed_and_removed(rankscope: CommandLine) -> None:
    assert given(rankscope, PASSWORD, "user", "add", "ada") == (0, "added ada, operator\n")
    code, words = given(rankscope, "short", "user", "add", "bob")
    assert (code, words.count("\n")) == (2, 1)
    assert "12 to 1024 characters, got 5" in words
    rankscope("user", "role", "ada", "admin")
    assert given(rankscope, "another horse battery", "user", "password", "ada")[0] == 0
    (account,) = rankscope.answer("user", "list")["accounts"]
    assert (account["name"], account["role"]) == ("ada", "admin")
    assert "argon2" not in rankscope("user", "list").stdout
    engine = open_database(settings(rankscope.home).database_url)
    assert verify_password(engine, "ada", "another horse battery") is not None

    made = rankscope("user", "token", "ada", "--name", "ci")
    token = made.stdout.strip()
    known = verify_token(engine, token)
    assert known is not None
    assert (known.owner, known.role) == ("ada", "admin")
    (listed,) = rankscope.answer("user", "tokens")["tokens"]
    assert (listed["name"], listed["revoked_at"]) == ("ci", None)
    assert token not in rankscope("user", "tokens").stdout
    rankscope("user", "revoke", known.id)
    assert verify_token(engine, token) is None

    rankscope("user", "remove", "ada")
    assert rankscope.answer("user", "list")["accounts"] == []
    engine.dispose()


@pytest.mark.parametrize(
    "arguments",
    [
        ("user", "remove", "bob"),
        ("user", "role", "bob", "admin"),
        ("user", "token", "bob"),
        ("user", "password", "bob"),
    ],
)
def test_who_does_not_exist_is_refused_with_what_to_do(
    rankscope: CommandLine, arguments: tuple[str, ...]
) -> None:
    refused = rankscope(*arguments, code=2)
    assert refused.stderr == "error: an account must exist, got 'bob'; see: rankscope user list\n"


def test_a_password_is_asked_twice_at_a_terminal_and_never_shown(rankscope: CommandLine) -> None:
    parent, child = pty.openpty()
    command = rankscope.command("user", "add", "ada", "--role", "viewer")
    process = subprocess.Popen(
        command,
        stdin=child,
        stdout=child,
        stderr=child,
        env=rankscope.environment,
        start_new_session=True,  # else the password is asked at the terminal of the tests
    )
    os.close(child)
    shown = b""
    prompts = [b"Password: ", b"confirmation: "]
    while select.select([parent], [], [], 60)[0]:
        try:
            got = os.read(parent, 1024)
        except OSError:  # the terminal is gone with the process
            break
        if not got:
            break
        shown += got
        if prompts and prompts[0] in shown:
            os.write(parent, b"correct horse battery\n")
            del prompts[0]
    os.close(parent)
    assert process.wait(60) == 0
    assert prompts == []
    assert b"horse" not in shown
    assert b"added ada, viewer" in shown


def test_without_a_terminal_a_password_must_be_piped_in(rankscope: CommandLine) -> None:
    done = subprocess.run(
        rankscope.command("user", "add", "ada"),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env=rankscope.environment,
        timeout=120,
        check=False,
    )
    assert done.returncode == 2
    assert "--password-stdin" in done.stderr
