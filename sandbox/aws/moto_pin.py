"""
Replace single functions inside moto, and refuse to start when moto isn't the one that was looked at.

Every correction goes through `Corrections`: it checks that what is replaced exists and takes the parameters
that the replacement was written for, and it puts the original back when the embedded AWS stops, so one
process may start it any number of times.
"""

import contextlib
import importlib.metadata
import inspect
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Self

MOTO_VERSION = "5.2.5"


class MotoChangedError(Exception):
    """moto isn't the version these corrections were written for, or lacks what one of them replaces."""


def require_moto_version() -> None:
    """Refuse any moto but the pinned one: corrections reach into its inside."""
    found = importlib.metadata.version("moto")
    if found != MOTO_VERSION:
        raise MotoChangedError(f"the sandbox corrects moto {MOTO_VERSION}; {found} is installed")


class Corrections:
    """Replacements that are in force until `restore` is called."""

    def __init__(self) -> None:
        require_moto_version()
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self.restore()

    def replace(self, owner: Any, name: str, new: Any, *, parameters: Sequence[str]) -> Any:
        """
        Put *new* in the place of the function *name* of *owner* (a class or a module) and return the
        original.

        *parameters* are the names that the original must take, in order.
        """
        where = f"{getattr(owner, '__module__', '')}.{getattr(owner, '__qualname__', owner.__name__)}.{name}"
        original = self._attribute(owner, name, where)
        function = getattr(original, "__func__", original)
        if not callable(function):
            raise MotoChangedError(f"{where} is not a function")
        found = list(inspect.signature(function).parameters)
        if found != list(parameters):
            raise MotoChangedError(
                f"{where} takes {found}, the correction was written for {list(parameters)}"
            )
        self._set(owner, name, original, self._wrapped_like(original, new))
        return function

    def replace_value(self, owner: Any, name: str, new: Any, *, kind: type) -> Any:
        """Put the value *new* in the place of the attribute *name* of *owner* and return the original."""
        where = f"{getattr(owner, '__name__', owner)}.{name}"
        original = self._attribute(owner, name, where)
        if not isinstance(original, kind):
            raise MotoChangedError(f"{where} is a {type(original).__name__}, not a {kind.__name__}")
        self._set(owner, name, original, new)
        return original

    def on_restore(self, action: Callable[[], object]) -> None:
        """Run *action* when the corrections are taken back."""
        self._stack.callback(action)

    def restore(self) -> None:
        """Put every original back, the last replaced first."""
        self._stack.close()

    @staticmethod
    def _attribute(owner: Any, name: str, where: str) -> Any:
        # From __dict__, so that a static or class method is kept as one and an inherited function isn't
        # mistaken for the owner's.
        if name not in vars(owner):
            raise MotoChangedError(f"moto has no {where} to correct")
        return vars(owner)[name]

    @staticmethod
    def _wrapped_like(original: Any, new: Any) -> Any:
        for kind in (staticmethod, classmethod):
            if isinstance(original, kind):
                return kind(new)
        return new

    def _set(self, owner: Any, name: str, original: Any, new: Any) -> None:
        setattr(owner, name, new)
        self._stack.callback(setattr, owner, name, original)
