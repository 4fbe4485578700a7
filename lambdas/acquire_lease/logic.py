"""
One run of a site works at a time.

The lease is an item of the table `sites`. A run that finds it held waits; one run at most waits as the
*successor*, and whoever comes while a successor waits is superseded: the successor reads the settings
only after it has the lease, so it does everything that the newcomer would do. A holder or successor
whose execution has ended (aborted and timed-out runs release nothing) is taken over.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from lambdas.core.errors import LeaseHeldError


class LeaseOutcome(StrEnum):
    """What became of the attempt."""

    ACQUIRED = "acquired"
    SUPERSEDED = "superseded"


# A site that the stack has settings for and that nobody has released should be there.
DEFAULT_INTENT = "provisioned"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """What became of the attempt, and the intent that this run follows if it is at work."""

    outcome: LeaseOutcome
    intent: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """The lease is this run's; what the site should be, if anybody ever said so."""

    intent: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Occupied:
    """The lease is another run's; who waits for it already, and for what."""

    holder: str
    successor: str | None
    successor_intent: str | None


class Leases(Protocol):
    """What this step needs from the table `sites`; each call is one conditional write."""

    def take(
        self, site: str, *, execution: str, intent: str | None, instead_of: str | None
    ) -> Taken | Occupied:
        """Take a lease that is free, ours already, or held by *instead_of*; else say who has it."""
        ...

    def line_up(self, site: str, *, execution: str, intent: str | None, instead_of: str | None) -> bool:
        """Become the successor, if there is none or it is *instead_of*; say whether that worked."""
        ...


class Executions(Protocol):
    """What this step needs from Step Functions."""

    def is_running(self, execution: str) -> bool: ...


def acquire(
    leases: Leases, executions: Executions, *, site: str, execution: str, intent: str | None
) -> Attempt:
    """Take the lease of *site*, or say that this run isn't needed; raises LeaseHeldError to wait."""
    answer = leases.take(site, execution=execution, intent=intent, instead_of=None)
    if isinstance(answer, Occupied) and not executions.is_running(answer.holder):
        answer = leases.take(site, execution=execution, intent=intent, instead_of=answer.holder)
    if isinstance(answer, Taken):
        return Attempt(outcome=LeaseOutcome.ACQUIRED, intent=answer.intent or DEFAULT_INTENT)
    successor = answer.successor
    if successor == execution:
        raise LeaseHeldError(site=site, holder=answer.holder)
    # A run that became the holder leaves its old place in the line behind.
    waiting = successor is not None and successor != answer.holder and executions.is_running(successor)
    if waiting and intent in (None, answer.successor_intent):
        return Attempt(outcome=LeaseOutcome.SUPERSEDED, intent=None)
    if not waiting:
        leases.line_up(site, execution=execution, intent=intent, instead_of=successor)
    raise LeaseHeldError(site=site, holder=answer.holder)
