"""
One run of a site works at a time.

The lease is an item of the table `sites`. A run that finds it held waits; one run at most waits as the
*successor*, and whoever comes while a successor waits is superseded: the successor reads the settings
only after it has the lease, so it does everything that the newcomer would do. A holder or successor
whose execution has ended (aborted and timed-out runs release nothing) is taken over.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from lambdas.core.errors import InvalidRequestError, LeaseHeldError
from lambdas.core.memory import Access, Memory


class LeaseOutcome(StrEnum):
    """What became of the attempt."""

    ACQUIRED = "acquired"
    SUPERSEDED = "superseded"
    IDLE = "idle"


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """
    What a run was asked to do.

    It is written with the lease, in one step: a run that is stopped right behind has still been heard.
    `only_pending` runs end at once when nothing waits; `checks` runs change nothing.
    """

    intent: str | None = None
    forced: bool = False
    grant: Access | None = None
    only_pending: bool = False
    checks: bool = False

    @property
    def says_nothing_new(self) -> bool:
        """Whether any other run that repairs does the same."""
        return self.intent is None and self.grant is None and not self.checks


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """The lease is this run's, and what the table remembers of the site."""

    memory: Memory


@dataclass(frozen=True, slots=True, kw_only=True)
class Occupied:
    """The lease is another run's; who waits for it already, and for what."""

    holder: str
    successor: str | None
    successor_intent: str | None


class Leases(Protocol):
    """What this step needs from the table `sites`; each call but the first is one conditional write."""

    def memory(self, site: str) -> Memory:
        """Read what is remembered, without a lease."""
        ...

    def take(self, site: str, *, execution: str, order: Order, instead_of: str | None) -> Taken | Occupied:
        """Take a lease that is free, ours already, or held by *instead_of*; else say who has it."""
        ...

    def line_up(self, site: str, *, execution: str, intent: str | None, instead_of: str | None) -> bool:
        """Become the successor, if there is none or it is *instead_of*; say whether that worked."""
        ...


class Executions(Protocol):
    """What this step needs from Step Functions."""

    def is_running(self, execution: str) -> bool: ...


# A site that the stack has settings for and that nobody has released should be there.
DEFAULT_INTENT = "provisioned"
# Each takes three statements of the bucket policy: this many fit beside the product's own five into what S3
# allows, with the longest names and a dozen endpoints, and with usual ones they take half of it.
MAXIMUM_GRANTS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """What became of the attempt, and what the run follows if it is at work."""

    outcome: LeaseOutcome
    memory: Memory

    @property
    def intent(self) -> str | None:
        """What the site should be; a superseded run hasn't looked."""
        if self.outcome is LeaseOutcome.SUPERSEDED:
            return None
        return self.memory.intent or DEFAULT_INTENT


def acquire(
    leases: Leases, executions: Executions, *, site: str, execution: str, order: Order, now: str
) -> Attempt:
    """
    Take the lease of *site*, or say that this run isn't needed; raises LeaseHeldError to wait.

    `now` is written like the end of a grant, 2026-01-31T22:00:00Z.
    """
    if order.grant is not None:
        # Read and then written: only who has the lease changes the intent and the grants, and no run takes
        # and returns it in between.
        _refuse_grant(order.grant, leases.memory(site), site=site, intent=order.intent, now=now)
    if order.only_pending and not (memory := leases.memory(site)).pending:
        return Attempt(outcome=LeaseOutcome.IDLE, memory=memory)
    answer = leases.take(site, execution=execution, order=order, instead_of=None)
    if isinstance(answer, Occupied) and not executions.is_running(answer.holder):
        answer = leases.take(site, execution=execution, order=order, instead_of=answer.holder)
    if isinstance(answer, Taken):
        return Attempt(outcome=LeaseOutcome.ACQUIRED, memory=answer.memory)
    successor = answer.successor
    if successor == execution:
        raise LeaseHeldError(site=site, holder=answer.holder)
    # A run that became the holder leaves its old place in the line behind.
    waiting = successor is not None and successor != answer.holder and executions.is_running(successor)
    if waiting and (order.says_nothing_new or _is_repeated(order, answer.successor_intent)):
        return Attempt(outcome=LeaseOutcome.SUPERSEDED, memory=Memory())
    # A run that only checks, or that may find nothing pending when its turn comes, does nobody else's
    # work: it waits without a place in the line.
    if not waiting and not order.checks and not order.only_pending:
        leases.line_up(site, execution=execution, intent=order.intent, instead_of=successor)
    raise LeaseHeldError(site=site, holder=answer.holder)


def require_known_account(principal: str, *, own: str, recovery_accounts: Sequence[str]) -> None:
    """
    Refuse a grant to an account that nobody has named at deployment.

    Whoever may send an event may ask for a grant; where backups can be read is not theirs to decide.
    """
    account = principal.split(":")[4]
    if account != own and account not in recovery_accounts:
        raise InvalidRequestError(
            f"grant.principal: account {account} is neither the site's own nor in recovery_accounts; "
            "add it there in cdk.json and deploy the stack"
        )


def _refuse_grant(grant: Access, memory: Memory, *, site: str, intent: str | None, now: str) -> None:
    """Refuse what would have no effect, and what would make the bucket policy grow without end."""
    if (intent or memory.intent or DEFAULT_INTENT) == "released":
        raise InvalidRequestError(
            f"grant: site {site} is released, so no bucket policy of the product keeps anybody out; "
            "nothing needs to be granted"
        )
    others = [one for one in memory.grants if one.principal != grant.principal and one.expires_at > now]
    if len(others) >= MAXIMUM_GRANTS:
        raise InvalidRequestError(
            f"grant: site {site} has {len(others)} grants already, which is the most; "
            f"the first ends at {min(one.expires_at for one in others)}"
        )


def _is_repeated(order: Order, intent: str | None) -> bool:
    return order.intent is not None and order.intent == intent and not order.forced and order.grant is None
