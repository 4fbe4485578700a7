"""What is known of the sites without asking anybody but the table and Parameter Store: values only."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from contract.documents import AdoptionReport, EndpointDocument
from lambdas.core.status import SiteStatus

# Clients say twice a day that they are there.
SILENT_AFTER = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredRun:
    """What the table says of the last run that has ended."""

    execution: str
    started_at: datetime | None
    purpose: str
    failed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredSite:
    """
    A site's item.

    `unreadable`: there is a status, but another version of the product has written it. `holder` is the
    execution that has the lease.
    """

    site: str
    intent: str | None = None
    status: SiteStatus | None = None
    unreadable: bool = False
    holder: str | None = None
    last_run: StoredRun | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredSites:
    """The items that were read; `more` when the cap was reached before the table's end."""

    items: tuple[StoredSite, ...]
    more: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """The published document, None when it can't be read, and its version."""

    document: EndpointDocument | None
    version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """
    What a server has said: its report, None when that can't be read, and when it was last heard of.

    `beats`: its client says that it is there, so its silence means something; older clients don't.
    """

    server: str
    report: AdoptionReport | None = None
    unreadable: bool = False
    seen_at: datetime | None = None
    beats: bool = False

    def is_silent(self, now: datetime) -> bool:
        """Whether it was heard of, and not any more."""
        return self.beats and self.seen_at is not None and now - self.seen_at > SILENT_AFTER


class Sites(Protocol):
    """What is needed from the table."""

    def read(self) -> StoredSites: ...


class Parameters(Protocol):
    """What is needed from Parameter Store, for several sites at once."""

    def read(
        self, servers: Mapping[str, Sequence[str]]
    ) -> Mapping[str, tuple[Published | None, Mapping[str, Word]]]: ...


def servers_of(item: StoredSite) -> tuple[str, ...]:
    """Name the servers to look at, those that are waited for first."""
    status = item.status
    return tuple(dict.fromkeys((*status.waits_for, *status.servers))) if status else ()
