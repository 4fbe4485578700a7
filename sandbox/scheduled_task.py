"""
The scheduled task of the sandbox's backup server: it runs the on-prem client again and again, or when asked.
"""

import datetime as dt
import threading
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from sandbox.client_process import Ended


@dataclass(frozen=True, slots=True, kw_only=True)
class LastRun:
    """What came of a run."""

    at: dt.datetime
    ended: Ended


class ScheduledTask:
    """
    Runs *client* every *every* seconds (None: only when asked), one run at a time; a context manager.

    Leaving it waits for a run that is under way: a client that is killed has to be repaired by the next one.
    """

    def __init__(self, client: Callable[[], Ended], *, every: float | None) -> None:
        self.every = every
        self._client = client
        self._running = threading.Lock()
        self._over = threading.Event()
        self._asked = threading.Event()
        self._thread = threading.Thread(target=self._work, name="scheduled-task", daemon=True)
        self._last: LastRun | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self._over.set()
        self._asked.set()
        self._thread.join()

    @property
    def last(self) -> LastRun | None:
        """The run that ended last."""
        return self._last

    @property
    def running(self) -> bool:
        """Whether a run is under way, or about to begin."""
        return self._running.locked() or self._asked.is_set()

    def ask(self) -> None:
        """Let a run begin now; while one is under way, another follows it."""
        self._asked.set()

    def _work(self) -> None:
        while True:
            self._asked.wait(self.every)
            if self._over.is_set():
                return
            with self._running:
                self._asked.clear()
                ended = self._client()
                self._last = LastRun(at=dt.datetime.now(dt.UTC), ended=ended)
