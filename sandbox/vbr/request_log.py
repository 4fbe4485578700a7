"""
The request log: one JSON line for each REST request, without any secret.

Secrets are masked by the names of their properties, and once more by their values: what a careless
client puts into the wrong field must not be kept either.
"""

import json
import threading
from datetime import UTC, datetime
from pathlib import Path

from sandbox.vbr.atomic_files import JsonLines

MASK = "***"

_SECRET_WORDS = ("password", "secret", "token", "authorization", "cookie")
_NOT_SECRET = ("token_type", "tokentype")
_SHORTEST_SECRET = 8


class RequestLog:
    """`requests.jsonl`, written by every connection."""

    def __init__(self, path: Path) -> None:
        self._lines = JsonLines(path)
        self._lock = threading.Lock()
        self._secrets: set[str] = set()

    def hide(self, *values: str) -> None:
        """Mask these values wherever they turn up from now on."""
        with self._lock:
            self._secrets.update(value for value in values if len(value) >= _SHORTEST_SECRET)

    def write(
        self,
        *,
        method: str,
        path: str,
        headers: dict[str, str],
        body: object,
        status: int,
        response: object,
    ) -> None:
        line = json.dumps(
            {
                "at": datetime.now(UTC).isoformat(),
                "method": method,
                "path": path,
                "headers": masked(headers),
                "body": masked(body),
                "status": status,
                "response": masked(response),
            }
        )
        with self._lock:
            known = sorted(self._secrets, key=len, reverse=True)
        for secret in known:
            line = line.replace(json.dumps(secret)[1:-1], MASK)
        self._lines.append(line)


def masked(value: object) -> object:
    """Return a copy of a JSON value with the values of secret-looking properties masked."""
    if isinstance(value, dict):
        return {
            name: MASK if _is_secret(str(name)) and member is not None else masked(member)
            for name, member in value.items()
        }
    if isinstance(value, list):
        return [masked(member) for member in value]
    return value


def _is_secret(name: str) -> bool:
    lowered = name.lower()
    return lowered not in _NOT_SECRET and any(word in lowered for word in _SECRET_WORDS)
