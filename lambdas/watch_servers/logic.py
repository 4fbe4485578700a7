"""
What the alarms are about: servers that have not been heard of, and waits that take too long.

Only of sites that are provisioned: the servers of a released one may be gone for good.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from contract.documents import EndpointState
from lambdas.core.known_sites import (
    SILENT_AFTER,
    Parameters,
    Published,
    Sites,
    StoredSite,
    Word,
    servers_of,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """One site: the servers that were last seen more than a day ago, or never, and the days of its wait."""

    site: str
    not_seen: tuple[str, ...]
    pending_days: int


def watch(sites: Sites, parameters: Parameters, *, configured: Sequence[str], now: datetime) -> list[Watched]:
    """Look at the sites that the stack has settings for; change nothing."""
    stored = {item.site: item for item in sites.read().items}
    items = [stored.get(site) or StoredSite(site=site) for site in configured]
    words = parameters.read({item.site: servers_of(item) for item in items})
    return [
        Watched(
            site=item.site,
            not_seen=_not_seen(item, *words[item.site], now=now),
            pending_days=_pending_days(item, now=now),
        )
        for item in items
    ]


def _not_seen(
    item: StoredSite, published: Published | None, words: Mapping[str, Word], *, now: datetime
) -> tuple[str, ...]:
    document = published.document if published else None
    if document is None or document.state is not EndpointState.ACTIVE or item.intent == "released":
        return ()
    # A server that was never heard of has had time since the endpoint was published.
    overdue = now - datetime.fromisoformat(document.published_at) > SILENT_AFTER
    return tuple(
        word.server for word in words.values() if word.is_silent(now) or (word.seen_at is None and overdue)
    )


def _pending_days(item: StoredSite, *, now: datetime) -> int:
    status = item.status
    if status is None or status.intent != "provisioned" or status.pending_since is None:
        return 0
    return max(0, (now - datetime.fromisoformat(status.pending_since)) // timedelta(days=1))
