"""The frame of whatever is started for a while: all of it, or nothing, and in the end nothing is left."""

import abc
import contextlib
from types import TracebackType
from typing import Self


class Started(abc.ABC):
    """A context manager; what `_start` puts on `_stack` is ended in reverse, also when it fails half-way."""

    def __init__(self) -> None:
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self._stack.close()

    @abc.abstractmethod
    def _start(self) -> None:
        """Start everything."""
