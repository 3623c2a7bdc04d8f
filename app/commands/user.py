"""``rankscope user``: who may sign in, and tokens for programs."""

import sys
from datetime import UTC, datetime
from typing import Annotated

import typer

from rankscope.app.extras import require_web
from rankscope.app.options import AsJson
from rankscope.app.store import open_store
from rankscope.app.terminal import err, out, print_json, print_table, records
from rankscope.models.reading import ConfigError
from rankscope.storage.choices import Role
from rankscope.storage.settings import Settings
from rankscope.storage.tokens import create_token, list_tokens, revoke_token

Name = Annotated[str, typer.Argument(metavar="NAME", help="The person's name.")]
RoleOption = Annotated[
    Role,
    typer.Option("--role", help="viewer reads; operator also launches and stops; admin all."),
]
FromStdin = Annotated[
    bool, typer.Option("--password-stdin", help="Read the password from standard input.")
]


def commands() -> typer.Typer:
    """The group of commands."""
    group = typer.Typer(help="Who may sign in, and tokens for programs.")
    group.command("add")(add)
    group.command("list")(list_)
    group.command("role")(role)
    group.command("password")(password)
    group.command("remove")(remove)
    group.command("token")(token)
    group.command("tokens")(tokens)
    group.command("revoke")(revoke)
    return group


def add(name: Name, role: RoleOption = "operator", password_stdin: FromStdin = False) -> None:
    """Add a person; from then on everybody has to sign in."""
    require_web()
    from rankscope.storage.accounts import add_account

    engine = open_store(Settings())
    add_account(engine, name, _password(is_from_stdin=password_stdin), role)
    out.print(f"added {name}, {role}")


def list_(as_json: AsJson = False) -> None:
    """List the people who may sign in."""
    require_web()
    from rankscope.storage.accounts import list_accounts

    accounts = list_accounts(open_store(Settings()))
    if as_json:
        rows = [{"name": a.name, "role": a.role, "created_at": a.created_at} for a in accounts]
        print_json({"accounts": rows})
        return
    shown = [[a.name, a.role, _date(a.created_at)] for a in accounts]
    print_table("Accounts", ["name", "role", "since"], shown)


def role(
    name: Name,
    role: Annotated[Role, typer.Argument(metavar="ROLE", help="viewer, operator or admin.")],
) -> None:
    """Give a person, and the tokens that act for it, another role."""
    require_web()
    from rankscope.storage.accounts import set_role

    set_role(open_store(Settings()), name, role)
    out.print(f"{name} is {role}")


def password(name: Name, password_stdin: FromStdin = False) -> None:
    """Give a person a new password; it has to sign in again everywhere."""
    require_web()
    from rankscope.storage.accounts import find_account, set_password

    engine = open_store(Settings())
    find_account(engine, name)  # before anybody types a password in vain
    set_password(engine, name, _password(is_from_stdin=password_stdin))
    out.print(f"{name} has a new password")


def remove(name: Name) -> None:
    """Remove a person and revoke its tokens; the runs it launched stay."""
    require_web()
    from rankscope.storage.accounts import remove_account

    remove_account(open_store(Settings()), name)
    out.print(f"removed {name}")


def token(
    name: Name,
    label: Annotated[str, typer.Option("--name", help="What the token is for.")] = "",
) -> None:
    """Make a bearer token that acts as a person; it is printed once and never again."""
    require_web()
    from rankscope.storage.accounts import find_account

    engine = open_store(Settings())
    account = find_account(engine, name)
    made = create_token(engine, owner=account.name, role=account.role, name=label)
    err.print(f"token {made.id} of {account.name}, {account.role}; it is not shown again:")
    out.print(made.plaintext)


def tokens(as_json: AsJson = False) -> None:
    """List the tokens, without their secrets."""
    rows = records(list_tokens(open_store(Settings())))
    if as_json:
        print_json({"tokens": rows})
        return
    shown = [
        [
            *(str(row[key]) for key in ("id", "owner", "role", "name")),
            *(_date(row[key]) for key in ("created_at", "last_used_at", "revoked_at")),
        ]
        for row in rows
    ]
    print_table("Tokens", ["id", "owner", "role", "name", "since", "last used", "revoked"], shown)


def revoke(
    token: Annotated[str, typer.Argument(metavar="TOKEN", help="The token's id.")],
) -> None:
    """Make a token worthless at once."""
    revoke_token(open_store(Settings()), token)
    out.print(f"revoked {token}")


def _password(*, is_from_stdin: bool) -> str:
    if is_from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    if not sys.stdin.isatty():
        raise ConfigError(
            "a password must be typed at a terminal, there is none; "
            "use --password-stdin and pipe it in"
        )
    typed: str = typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    return typed


def _date(moment: datetime | None) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC" if moment else "–"
