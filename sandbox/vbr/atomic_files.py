"""
Files that another process reads while they are written.

A state file is replaced whole; a log only ever grows by whole lines.
"""

import json
import secrets
import threading
import time
from collections.abc import Mapping
from pathlib import Path

_ATTEMPTS = 40
_PAUSE = 0.05


def replace_bytes(path: Path, content: bytes) -> None:
    """
    Put *content* in the place of *path*, so that a reader sees the old file or the new one.

    Windows refuses to replace a file while somebody reads it, so that case is tried again.
    """
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    draft.write_bytes(content)
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            draft.replace(path)
        except PermissionError:
            if attempt == _ATTEMPTS:
                draft.unlink()
                raise
            time.sleep(_PAUSE)
        else:
            return


def replace_json(path: Path, document: Mapping[str, object]) -> None:
    """Write *document* for people too: sorted keys, indented, with a newline at the end."""
    replace_bytes(path, (json.dumps(document, indent=2, sort_keys=True) + "\n").encode())


class JsonLines:
    """A file with one JSON document in each line, written by several threads."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        path.write_bytes(b"")

    def append(self, line: str) -> None:
        with self._lock, self._path.open("ab") as file:
            file.write(line.encode() + b"\n")
