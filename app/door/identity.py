"""Who is asking: the guard writes the person into the connection, everybody else reads it here."""

from typing import NamedTuple

import gradio as gr
from fastapi import HTTPException
from starlette.requests import HTTPConnection

from rankscope.storage.choices import Role

_RANKS: dict[Role, int] = {"viewer": 0, "operator": 1, "admin": 2}


class Person(NamedTuple):
    """A person, or a program that acts for one, and what it may do."""

    name: str
    role: Role

    def may(self, role: Role) -> bool:
        """Whether this person's role is at least ``role``."""
        return _RANKS[self.role] >= _RANKS[role]

    @property
    def can_operate(self) -> bool:
        """Whether this person may launch, stop and move runs."""
        return self.may("operator")


def person_of(connection: HTTPConnection) -> Person | None:
    """Who asks, over HTTP or a WebSocket; None if nobody is signed in."""
    person = connection.scope.get("state", {}).get("person")
    return person if isinstance(person, Person) else None


def is_own_origin(connection: HTTPConnection) -> bool:
    """Whether the request comes from our own pages, or from a program that is no browser."""
    return connection.scope.get("state", {}).get("is_own_origin") is True


async def viewer(connection: HTTPConnection) -> Person:
    """FastAPI dependency: the person, who may read."""
    return _at_least("viewer", connection)


async def operator(connection: HTTPConnection) -> Person:
    """FastAPI dependency: the person, who may launch, stop, resume, export and move runs."""
    return _at_least("operator", connection)


async def admin(connection: HTTPConnection) -> Person:
    """FastAPI dependency: the person, who may manage accounts too."""
    return _at_least("admin", connection)


def of_gradio(request: gr.Request) -> Person:
    """The person behind a Gradio event.

    Raises:
        gr.Error: If nobody is signed in, which only happens when a cookie expired meanwhile.
    """
    person = person_of(request.request) if request.request is not None else None
    if person is None:
        raise gr.Error("this needs a signed-in person, the sign-in has expired; sign in again")
    return person


def _at_least(role: Role, connection: HTTPConnection) -> Person:
    person = person_of(connection)
    if person is None:
        raise HTTPException(401, "this needs a signed-in person; sign in, or send a bearer token")
    if not person.may(role):
        raise HTTPException(
            403, f"this needs the role {role}, {person.name} is {person.role}; ask an administrator"
        )
    return person
