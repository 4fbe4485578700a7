"""
What goes wrong on demand.

Faults are a file, `faults.json` beside the service files, so that a test in another process can set and
lift them while the stand-in runs. Without the file nothing goes wrong. Unknown names are refused: a
misspelt fault would make a test pass for no reason.
"""

import json
import time
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Self

from sandbox.vbr.atomic_files import replace_json

FILE_NAME = "faults.json"

_ATTEMPTS = 20
_PAUSE = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """Everything that can be made to go wrong."""

    stop_never_finishes: bool = False
    """A service that is asked to stop stays in stop_pending."""

    start_fails: str = ""
    """The backup service fails to start, with this text."""

    rest_unavailable: bool = False
    """Every REST call is answered with 503."""

    token_lifetime: float | None = None
    """New and old access tokens live this many seconds from when they were issued."""

    failing_sessions: tuple[str, ...] = ()
    """Sessions with one of these names or types end as Failed."""

    endless_jobs: tuple[str, ...] = ()
    """A run of a job with one of these names goes on until it is stopped without grace."""

    @classmethod
    def read(cls, folder: Path) -> Self:
        document = _read(folder / FILE_NAME)
        unknown = sorted(set(document) - {field.name for field in fields(cls)})
        if unknown:
            raise ValueError(f"unknown fault: {', '.join(unknown)}")
        values: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in document.items()
        }
        return cls(**values)

    def write(self, folder: Path) -> None:
        replace_json(folder / FILE_NAME, asdict(self))


def _read(file: Path) -> dict[str, Any]:
    """Read the faults; a file that is just being written is read again."""
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            document = json.loads(file.read_bytes())
        except FileNotFoundError:
            return {}
        except (json.JSONDecodeError, PermissionError):
            if attempt == _ATTEMPTS:
                raise
            time.sleep(_PAUSE)
        else:
            return dict(document)
    return {}
