"""
The shapes of request bodies, and one function that checks a body against its shape.

An unknown property is refused. The real server may be more patient; a client that sends what its
revision doesn't know should learn it here.
"""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]


class ShapeError(Exception):
    """A body doesn't have the shape of its request; the text names the property."""


@dataclass(frozen=True, slots=True)
class OneOf:
    """A string out of a closed set, spelled exactly."""

    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Text:
    """A string; empty only where that makes sense."""

    may_be_empty: bool = False


@dataclass(frozen=True, slots=True)
class Uuid:
    """The id of something."""


@dataclass(frozen=True, slots=True)
class Flag:
    """true or false."""


@dataclass(frozen=True, slots=True)
class Number:
    """A whole number within its limits."""

    least: int
    most: int


@dataclass(frozen=True, slots=True)
class Uuids:
    """A list of ids."""


@dataclass(frozen=True, slots=True)
class Anything:
    """An object that the stand-in keeps and doesn't look into."""


@dataclass(frozen=True, slots=True)
class Shape:
    """An object: its required and its optional properties."""

    required: Mapping[str, "Kind"]
    optional: Mapping[str, "Kind"]

    def check(self, value: object, *, where: str = "") -> None:
        """Raise ShapeError unless *value* is an object of this shape."""
        if not isinstance(value, dict):
            raise ShapeError(f"{where or 'the body'} must be an object")
        known = {**self.required, **self.optional}
        missing = [name for name in self.required if value.get(name) is None]
        if missing:
            raise ShapeError(f"{_path(where, missing[0])} is required")
        for name, member in value.items():
            path = _path(where, name)
            if name not in known:
                raise ShapeError(f"{path} is not a property of this revision")
            if member is not None:
                _check(known[name], member, path)


Kind = OneOf | Text | Uuid | Flag | Number | Uuids | Anything | Shape


def _check(kind: Kind, value: object, path: str) -> None:
    match kind:
        case Shape():
            kind.check(value, where=path)
        case OneOf(values):
            if value not in values:
                raise ShapeError(f"{path} must be one of {', '.join(values)}")
        case Text(may_be_empty):
            if not isinstance(value, str) or not (value or may_be_empty):
                raise ShapeError(f"{path} must be a string" + ("" if may_be_empty else " that isn't empty"))
        case Uuid():
            if not _is_uuid(value):
                raise ShapeError(f"{path} must be a UUID")
        case Flag():
            if not isinstance(value, bool):
                raise ShapeError(f"{path} must be true or false")
        case Number(least, most):
            if type(value) is not int or not least <= value <= most:
                raise ShapeError(f"{path} must be a whole number from {least} to {most}")
        case Uuids():
            if not isinstance(value, list) or not all(map(_is_uuid, value)):
                raise ShapeError(f"{path} must be a list of UUIDs")
        case Anything():
            if not isinstance(value, dict):
                raise ShapeError(f"{path} must be an object")


def _path(where: str, name: str) -> str:
    return f"{where}.{name}" if where else name


def _is_uuid(value: object) -> bool:
    try:
        return isinstance(value, str) and str(uuid.UUID(value)) == value.lower()
    except ValueError:
        return False
