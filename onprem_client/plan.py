"""
Plan, then apply.

A plan is a list of changes that a person can read. `apply` is the only function in the client that makes
one happen, and `roll_back` the only one that takes it back. `do` and `undo` are written so that a second call
finds nothing to do: after a crash the next start calls them again without knowing how far the last one came.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from onprem_client.errors import (
    ApplyError,
    BusyError,
    ClientError,
    JobsDisabledError,
    RepositoryError,
    RollbackError,
    SecretError,
)

# These say what an operator must know better than "a change failed" does.
_SAY_IT_THEMSELVES = (BusyError, JobsDisabledError, RepositoryError, SecretError)


def _nothing() -> None:
    """Prepare nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One reversible step, described before it runs; `prepare` tries what can be tried before."""

    resource: str
    before: str | None
    after: str | None
    do: Callable[[], None]
    undo: Callable[[], None]
    prepare: Callable[[], None] = _nothing

    def __str__(self) -> str:
        return f"{self.resource}: {self.before or 'absent'} -> {self.after or 'absent'}"


def apply(changes: Sequence[Change], *, on_failure: Callable[[], None]) -> None:
    """
    Make the changes in their order; when one fails, undo it and those before it, the last one first.

    `on_failure` is called before anything is undone: it is where the journal learns which way we are going.
    """
    begun: list[Change] = []
    change = None
    try:
        for change in changes:
            change.prepare()
        for change in changes:
            begun.append(change)
            change.do()
    except (Exception, KeyboardInterrupt) as cause:  # Whatever a change raises, the others are undone.
        with suppress(ClientError):  # A journal on a full disk must not keep the server from going back.
            on_failure()
        why = f"{change}: {_reason(cause)}"
        roll_back(begun, why=why)
        if isinstance(cause, _SAY_IT_THEMSELVES):
            raise
        raise ApplyError(f"a change failed and everything before it was undone; {why}") from cause


def roll_back(changes: Sequence[Change], *, why: str) -> None:
    """Undo *changes*, the last one first; go on when one can't be undone, then raise RollbackError."""
    left: list[str] = []
    first: BaseException | None = None
    for change in reversed(changes):
        try:
            change.undo()
        except (Exception, KeyboardInterrupt) as cause:  # noqa: BLE001, the others must still be undone
            left.append(f"{change.resource}: {_reason(cause)}")
            first = first or cause
    if first is not None:
        raise RollbackError(f"{why}; it could not be undone: {'; '.join(left)}") from first


def _reason(cause: BaseException) -> str:
    if isinstance(cause, ClientError):
        return str(cause)
    if isinstance(cause, KeyboardInterrupt):
        return "interrupted from the keyboard"
    return f"{type(cause).__name__}: {cause}"
