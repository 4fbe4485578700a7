"""What the demo prints: headlines, evidence, statements, and a line that shows that something is awaited."""

import contextlib
import threading
import time
from collections.abc import Iterator
from typing import TextIO

_BEAT_SECONDS = 2.0


class Console:
    """Writes to a terminal with colour, and to a file without."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._colour = stream.isatty()
        self._started = time.monotonic()
        self._chapter = 0

    def chapter(self, title: str) -> None:
        """Begin a part of the story."""
        self._chapter += 1
        self._line("")
        self._line(self._painted("1", f"{self._chapter}. {title}"))

    def command(self, words: str) -> None:
        """Show a command that a person would type."""
        self._line(f"   $ {words}")

    def evidence(self, text: str) -> None:
        """Show real output, indented."""
        for line in text.splitlines():
            self._line(f"     {line}".rstrip())

    def true(self, statement: str) -> None:
        """Print a statement that was checked."""
        self._line(f"   {self._painted('32', 'ok')} {statement}")

    def failed(self, statement: str) -> None:
        """Print the statement that is not true."""
        self._line(f"   {self._painted('31', 'NOT TRUE')} {statement}")

    def done(self, text: str) -> None:
        """End the story."""
        self._line("")
        self._line(self._painted("1", f"{text} ({time.monotonic() - self._started:.0f} s)"))

    @contextlib.contextmanager
    def waiting(self, reason: str) -> Iterator[None]:
        """Say what is awaited, and go on saying it, so that nobody thinks that it hangs."""
        self._line(f"   … {reason}")
        over = threading.Event()

        def beat() -> None:
            began = time.monotonic()
            while not over.wait(_BEAT_SECONDS):
                self._line(f"   … {reason}: {time.monotonic() - began:.0f} s")

        thread = threading.Thread(target=beat, daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def _line(self, text: str) -> None:
        print(text, file=self._stream, flush=True)

    def _painted(self, code: str, text: str) -> str:
        return f"\033[{code}m{text}\033[0m" if self._colour else text
