"""
What people are told of a site: how it stands, in one word and one colour, and what is wrong, in sentences.

Values only; `site_markup` draws them. One row is one site, in this account or in another one.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import IntEnum

from lambdas.core.status import SiteStatus


class Level(IntEnum):
    """How much a site needs a person; what needs one most comes first."""

    WRONG = 0
    WAITING = 1
    WORKING = 2
    IN_ORDER = 3
    RELEASED = 4

    @property
    def words(self) -> str:
        """What stands beside the colour."""
        return _WORDS[self]

    @property
    def needs_attention(self) -> bool:
        """Whether a person should look: something is wrong, or something waits."""
        return self in (Level.WRONG, Level.WAITING)


_WORDS = {
    Level.WRONG: "Needs attention",
    Level.WAITING: "Waiting",
    Level.WORKING: "At work",
    Level.IN_ORDER: "In order",
    Level.RELEASED: "Released",
}
_STATES = {
    "enforced": "locked to its endpoint",
    "enforcement pending": "not locked yet",
    "released": "released",
    "release pending": "being released",
    "failed": "the last run failed",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """An execution of the workflow; `link` is its page in the console, `failed` None while it is at work."""

    started_at: datetime | None
    link: str | None
    failed: bool | None
    purpose: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteRow:
    """
    One site in a table of many.

    `state` says how it stands, `problems` what is wrong in a sentence each; `servers` is a short text such as
    "2 of 3 moved". Account and Region are for tables of many accounts. `said_at` is when this was true:
    what has been silent for long is not news.
    """

    site: str
    level: Level
    state: str
    problems: tuple[str, ...] = ()
    endpoint_id: str | None = None
    servers: str | None = None
    run: Run | None = None
    said_at: datetime | None = None
    account_id: str | None = None
    region: str | None = None

    def with_problems(self, further: Sequence[str]) -> "SiteRow":
        """Add what else is wrong: then the site needs attention, whatever it said of itself."""
        if not further:
            return self
        own, further = tuple(self.problems), tuple(further)
        # What only waits comes behind what is wrong.
        both = (*own, *further) if self.level is Level.WRONG else (*further, *own)
        return replace(self, level=Level.WRONG, problems=both)


def site_row(
    site: str,
    status: SiteStatus | None,
    *,
    run: Run | None = None,
    said_at: datetime | None = None,
    account_id: str | None = None,
    region: str | None = None,
) -> SiteRow:
    """Weigh what a site has last said of itself; None when it never has."""
    level, state, problems = _weighed(status, working=run is not None and run.failed is None)
    return SiteRow(
        site=site,
        level=level,
        state=state,
        problems=problems,
        endpoint_id=status.let_in[0] if status and status.let_in else None,
        servers=_moved(status),
        run=run,
        said_at=said_at,
        account_id=account_id,
        region=region,
    )


def in_order_of_attention(rows: Sequence[SiteRow]) -> list[SiteRow]:
    """Put what needs attention first, and the newest of those before the older ones."""
    return sorted(
        rows,
        key=lambda row: (
            row.level,
            -(row.said_at.timestamp() if row.said_at else 0.0),
            row.account_id or "",
            row.region or "",
            row.site,
        ),
    )


def _weighed(status: SiteStatus | None, *, working: bool) -> tuple[Level, str, tuple[str, ...]]:
    if status is None:
        if working:
            return Level.WORKING, "a first run is at work", ()
        return Level.WRONG, "not provisioned", ("Nothing has been made yet: provision the site.",)
    state = _STATES[status.state]
    wrong = [f"The last run failed: {status.error}"] if status.error else []
    if status.why:
        wrong.append(f"{_buckets(status)} can't be locked: {status.why}.")
    wrong += [
        f"This was changed by hand, and is not the product's to repair: {difference}."
        for difference in status.left
    ]
    waits = _waits(status)
    if wrong or status.state == "failed":
        return Level.WRONG, state, (*wrong, *waits)
    if working:
        return Level.WORKING, f"{state}; a run is at work", waits
    if waits or status.state.endswith("pending"):
        return Level.WAITING, state, waits
    return (Level.RELEASED if status.state == "released" else Level.IN_ORDER), state, ()


def _moved(status: SiteStatus | None) -> str | None:
    if status is None or not status.servers:
        return None
    done = "back" if status.state.startswith("release") else "moved"
    return f"{len(status.moved)} of {len(status.servers)} {done}"


def _waits(status: SiteStatus) -> tuple[str, ...]:
    if not status.waits_for:
        return _not_moved(status)
    servers = ", ".join(status.waits_for)
    match status.state:
        case "enforcement pending":
            return (f"{_buckets(status)} will be locked when the endpoint is used by {servers}.",)
        case "release pending":
            return (f"The endpoint will be deleted when Veeam's own endpoints are used again by {servers}.",)
        case _:
            return (f"The former endpoint is let in until the new one is used by {servers}.",)


def _not_moved(status: SiteStatus) -> tuple[str, ...]:
    """Say who doesn't use the endpoint yet, though nothing waits for it."""
    if status.state not in ("enforced", "enforcement pending"):
        return ()
    if not status.moved:
        return ("No backup server uses the endpoint yet: run the client there.",)
    left = [server for server in status.servers if server not in status.moved]
    return (f"The endpoint is not used yet by {', '.join(left)}.",) if left else ()


def _buckets(status: SiteStatus) -> str:
    named = ", ".join(status.pending)
    return f"{'Bucket' if len(status.pending) == 1 else 'Buckets'} {named}" if named else "The buckets"
