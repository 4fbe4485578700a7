"""
Reading what VBR answers: without case, skipping what isn't known, refusing only what can't be done without.
"""

import re
from typing import Any

from onprem_client.errors import VbrError

_ID = re.compile(r"[0-9A-Za-z][0-9A-Za-z-]{0,63}")
_LONGEST_TEXT = 500


def member(document: object, *path: str) -> Any:
    """Return the member at *path*, or None; names are compared without case."""
    for name in path:
        if not isinstance(document, dict):
            return None
        wanted = name.lower()
        document = next((value for key, value in document.items() if str(key).lower() == wanted), None)
    return document


def text(document: object, *path: str) -> str | None:
    """Return a text, cut to a length that nobody minds, or None."""
    value = member(document, *path)
    if not isinstance(value, str) or not value.strip():
        return None
    return "".join(character if character.isprintable() else " " for character in value)[:_LONGEST_TEXT]


def number(document: object, *path: str) -> int | None:
    """Return a whole number, or None."""
    value = member(document, *path)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def flag(document: object, *path: str) -> bool | None:
    """Return true or false, or None."""
    value = member(document, *path)
    return value if isinstance(value, bool) else None


def identifier(document: object, *path: str) -> str:
    """Return an id; it becomes a part of addresses, so anything that isn't one is refused."""
    value = member(document, *(path or ("id",)))
    if not isinstance(value, str) or not _ID.fullmatch(value):
        raise VbrError(f"VBR answered without a usable {'.'.join(path or ('id',))}")
    return value


def items(document: object) -> list[Any]:
    """Return the entries of a list or of one page of a list."""
    data = document if isinstance(document, list) else member(document, "data")
    return data if isinstance(data, list) else []
