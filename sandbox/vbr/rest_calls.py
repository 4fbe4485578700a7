"""
What a REST call is made of: the call, its answer, the errors, and the routes.

    RestError                 answered as {errorCode, message}
    ├── BadRequestError       400
    ├── UnauthorizedError     401
    ├── NotFoundError         404
    ├── MethodNotAllowedError 405
    └── UnavailableError      503

The texts of `errorCode` are the stand-in's reading; a client should go by the status.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TypeVar

from sandbox.vbr.shapes import Json, Shape

Item = TypeVar("Item")

_DEFAULT_LIMIT = 200


class RestError(Exception):
    """Base of every error that becomes an answer."""

    status = 500
    code = "UnknownError"


class BadRequestError(RestError):
    """The request isn't one that this revision knows, or can't be carried out."""

    status = 400
    code = "UnexpectedContent"


class UnauthorizedError(RestError):
    """There is no valid token, or the password is wrong."""

    status = 401

    def __init__(self, message: str, *, code: str = "AccessDenied") -> None:
        self.code = code
        super().__init__(message)


class NotFoundError(RestError):
    """The path or the object that it names doesn't exist."""

    status = 404
    code = "NotFound"


class MethodNotAllowedError(RestError):
    """The path exists, with other methods."""

    status = 405
    code = "MethodNotAllowed"


class UnavailableError(RestError):
    """The backup service doesn't run, or isn't ready yet."""

    status = 503
    code = "ServiceUnavailable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request that has passed the door: known revision, valid token, right shape."""

    ids: Mapping[str, str]
    query: Mapping[str, str]
    body: Json


@dataclass(frozen=True, slots=True)
class Answer:
    """A status, and a document if there is one."""

    status: int
    document: Json | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One method on one path; `{id}` in the path stands for an id."""

    method: str
    path: str
    handle: Callable[[Call], Answer]
    query: frozenset[str] = frozenset()
    shape: Callable[[Json], Shape] | None = None
    """The shape of the body, chosen by what the body says it is; None: a body is not expected."""
    pattern: re.Pattern[str] = field(init=False)

    def __post_init__(self) -> None:
        pattern = re.compile(re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]+)", re.escape(self.path)))
        object.__setattr__(self, "pattern", pattern)


def flag(query: Mapping[str, str], name: str) -> bool:
    """Read true or false from the query; absent is false."""
    value = query.get(name, "false").lower()
    if value not in ("true", "false"):
        raise BadRequestError(f"{name} must be true or false")
    return value == "true"


def one_of(query: Mapping[str, str], name: str, values: Sequence[str]) -> str | None:
    """Read one of a closed set of words from the query, spelled exactly."""
    value = query.get(name)
    if value is not None and value not in values:
        raise BadRequestError(f"{name} must be one of {', '.join(values)}")
    return value


def matches(pattern: str | None, name: str) -> bool:
    """Compare a name with a filter, in which * stands for anything."""
    if pattern is None:
        return True
    literal = pattern.lower().replace("[", "[[]").replace("?", "[?]")
    return fnmatchcase(name.lower(), literal)


PAGE = frozenset({"skip", "limit", "orderColumn", "orderAsc"})


def page(items: Sequence[Item], query: Mapping[str, str], show: Callable[[Item], Json]) -> Answer:
    """Answer one page of a list."""
    skip, limit = _whole(query, "skip", 0), _whole(query, "limit", _DEFAULT_LIMIT)
    shown = [show(item) for item in items[skip : skip + limit]]
    pagination = {"total": len(items), "count": len(shown), "skip": skip, "limit": limit}
    return Answer(200, {"data": shown, "pagination": pagination})


def _whole(query: Mapping[str, str], name: str, default: int) -> int:
    value = query.get(name, str(default))
    if not value.isdecimal():
        raise BadRequestError(f"{name} must be a whole number")
    return int(value)
