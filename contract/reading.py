"""
Read a JSON object field by field, trusting nothing.

`Fields` hands out each field once, checked; `finish` refuses what is left over. So a document type lists
its fields in one place and can't forget to refuse an unknown one.
"""

import json
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from contract.errors import ContractError, UnknownVersionError
from contract.names import shown

T = TypeVar("T")


def json_object(text: str, *, document: str, maximum_bytes: int) -> dict[str, Any]:
    """Parse *text*, which must be one ASCII JSON object of at most *maximum_bytes* without repeated keys."""
    if not text.isascii():
        raise ContractError(document, "holds characters outside ASCII")
    if len(text) > maximum_bytes:
        raise ContractError(document, f"is {len(text)} bytes long; at most {maximum_bytes} are allowed")
    try:
        value = json.loads(text, object_pairs_hook=_without_repeats, parse_constant=_refuse_constant)
    except RecursionError:
        raise ContractError(document, "is nested too deeply") from None
    except ContractError:
        raise
    except ValueError as error:
        raise ContractError(document, f"is not JSON ({error})") from error
    if not isinstance(value, dict):
        raise ContractError(document, "is not a JSON object")
    return value


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise ContractError("document", "holds the same field twice")
    return fields


def _refuse_constant(name: str) -> float:
    raise ContractError("document", f"holds {name}, which is not JSON")


class Fields:
    """The fields of one JSON object that have not been read yet."""

    def __init__(self, value: object, *, where: str = "") -> None:
        if not isinstance(value, dict):
            raise ContractError(where or "document", "is not a JSON object")
        self._left: dict[str, Any] = dict(value)
        self._where = f"{where}." if where else ""

    def name(self, field: str) -> str:
        """Return the field's full name, as messages show it."""
        return f"{self._where}{field}"

    def version(self, known: int) -> int:
        """Take `schema_version`; anything but *known* is refused before any other field is looked at."""
        value = self._take("schema_version")
        if type(value) is not int or value != known:
            problem = f"{shown(value)} is not known here, only {known} is; upgrade the older side"
            raise UnknownVersionError(self.name("schema_version"), problem)
        return value

    def checked(self, field: str, check: Callable[..., T]) -> T:
        """Take a required field through one of the checks of `contract.names`."""
        return check(self._take(field), field=self.name(field))

    def text(self, field: str, *, longest: int) -> str:
        """Take a required printable ASCII string of at most *longest* characters."""
        value = self._take(field)
        if (
            not isinstance(value, str)
            or not value.isascii()
            or not value.isprintable()
            or len(value) > longest
        ):
            raise ContractError(
                self.name(field),
                f"{shown(value)} is not a printable ASCII text of up to {longest} characters",
            )
        return value

    def optional_text(self, field: str, *, longest: int) -> str | None:
        """Take a field that may be null, and otherwise is a text."""
        if self._left.get(field, "") is None:
            del self._left[field]
            return None
        return self.text(field, longest=longest)

    def integer(self, field: str, *, least: int, most: int) -> int:
        """Take a required whole number between *least* and *most*."""
        value = self._take(field)
        if type(value) is not int or not least <= value <= most:
            raise ContractError(
                self.name(field), f"{shown(value)} is not a whole number from {least} to {most}"
            )
        return value

    def boolean(self, field: str) -> bool:
        """Take a required true or false."""
        value = self._take(field)
        if type(value) is not bool:
            raise ContractError(self.name(field), f"{shown(value)} is neither true nor false")
        return value

    def one_of(self, field: str, allowed: Sequence[str]) -> str:
        """Take a required string out of *allowed*."""
        value = self._take(field)
        if not isinstance(value, str) or value not in allowed:
            raise ContractError(self.name(field), f"{shown(value)} is not one of {', '.join(allowed)}")
        return value

    def each(self, field: str, check: Callable[..., T], *, least: int = 0, most: int) -> tuple[T, ...]:
        """Take a list of *least* to *most* items through a check; one that may be empty may be left out."""
        if least == 0 and not self.has(field):
            return ()
        value = self._take(field)
        if not isinstance(value, list) or not least <= len(value) <= most:
            raise ContractError(self.name(field), f"is not a list of {least} to {most} items")
        return tuple(check(item, field=f"{self.name(field)}[{index}]") for index, item in enumerate(value))

    def has(self, field: str) -> bool:
        """Say whether a field is there and not null; a null one counts as read."""
        if self._left.get(field, "") is None:
            del self._left[field]
        return field in self._left

    def finish(self) -> None:
        """Refuse whatever has not been read."""
        if self._left:
            field = min(self._left)
            raise ContractError(f"{self._where}{shown(field)[1:-1]}", "is not a known field; remove it")

    def _take(self, field: str) -> Any:
        if field not in self._left:
            raise ContractError(self.name(field), "is missing")
        return self._left.pop(field)
