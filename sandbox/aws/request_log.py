"""
`state/aws/requests.jsonl`: one line for each AWS call that a client made, with who made it and what came of
it.

It is how a test counts reads and writes without asking the product. Calls of the emulator to itself are not
in it.
"""

import datetime as dt
import json
import threading
from pathlib import Path
from typing import Any


class RequestLog:
    """
    Writes lines; each is flushed before the client gets its answer.

    A file of an earlier AWS is begun anew: nothing that it tells of exists any more.
    """

    def __init__(self, file: Path) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        self.file = file
        self._lock = threading.Lock()
        self._stream = file.open("w", encoding="utf-8")

    def write(self, **fields: Any) -> None:
        """Write one line."""
        line = json.dumps({"at": dt.datetime.now(dt.UTC).isoformat(), **fields}, ensure_ascii=False)
        with self._lock:
            if not self._stream.closed:
                self._stream.write(line + "\n")
                self._stream.flush()

    def close(self) -> None:
        with self._lock:
            self._stream.close()
