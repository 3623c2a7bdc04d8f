"""What a type annotation asks of a form."""

import inspect
from types import NoneType, UnionType
from typing import Annotated, Literal, TypeGuard, Union, get_args, get_origin

from pydantic import BaseModel

Kind = Literal["number", "text", "one_of", "some_of", "switch", "words", "pairs", "json"]
"""How a value is filled in; what has no widget of its own is written as JSON.

``pairs``: numbers by name, a line each.
"""

_SCALARS: dict[object, Kind] = {bool: "switch", int: "number", float: "number", str: "text"}


def kind_and_choices(annotation: object) -> tuple[Kind, tuple[str, ...]]:
    """How a value of this type is filled in, and what there is to choose from."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    inner = plain(arguments[0]) if arguments else None
    if origin is Literal and all(isinstance(a, str) for a in arguments):
        return "one_of", arguments
    if origin in (frozenset, set) and get_origin(inner) is Literal:
        return "some_of", get_args(inner)
    if origin is tuple and inner is str and arguments[1:] == (Ellipsis,):
        return "words", ()
    if origin is dict and inner is str and plain(arguments[1]) in (int, float):
        return "pairs", ()
    return _SCALARS.get(annotation, "json"), ()


def plain(annotation: object) -> object:
    """A type without its metadata and without None."""
    if get_origin(annotation) is Annotated:
        return plain(get_args(annotation)[0])
    some = [a for a in members(annotation) if a is not NoneType]
    return plain(some[0]) if len(some) == 1 and some[0] is not annotation else annotation


def members(annotation: object) -> tuple[object, ...]:
    """The members of a union, or the type alone."""
    return get_args(annotation) if get_origin(annotation) in (Union, UnionType) else (annotation,)


def is_model(annotation: object) -> TypeGuard[type[BaseModel]]:
    """Whether this is a pydantic model."""
    return inspect.isclass(annotation) and issubclass(annotation, BaseModel)


def kind_of(model: type[BaseModel]) -> str | None:
    """The field ``kind`` of a model that could be a member of a union."""
    info = model.model_fields.get("kind")
    return None if info is None or only_literal(info.annotation) is None else "kind"


def tag_of(model: type[BaseModel], discriminator: str) -> str:
    """The name of a model among the members of its union."""
    return str(only_literal(model.model_fields[discriminator].annotation))


def only_literal(annotation: object) -> object | None:
    """The one value that this type allows, None if there are several."""
    values = get_args(annotation) if get_origin(annotation) is Literal else ()
    return values[0] if len(values) == 1 else None
