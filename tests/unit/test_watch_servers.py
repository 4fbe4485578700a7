"""What the alarms are about is counted from what the servers write, by AWS's clock."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from contract.documents import EndpointDocument, EndpointState
from lambdas.core.known_sites import Published, StoredSite, StoredSites, Word
from lambdas.core.status import SiteStatus
from lambdas.watch_servers.logic import Watched, watch
from tests.contract.golden_documents import FOLDER

NOW = datetime(2026, 2, 7, 12, 0, tzinfo=UTC)
DOCUMENT = replace(
    EndpointDocument.from_json((FOLDER / "endpoint-document-1-active.json").read_text()),
    published_at="2026-01-31T12:00:00Z",
)
DAY = timedelta(days=1)
SECOND = timedelta(seconds=1)


class Table:
    def __init__(self, *items: StoredSite) -> None:
        self.items = items

    def read(self) -> StoredSites:
        return StoredSites(items=self.items, more=False)


class Store:
    """Says of every server that it was seen at the given time; None: never."""

    def __init__(
        self,
        seen: Mapping[str, datetime | None],
        document: EndpointDocument | None = DOCUMENT,
        *,
        beats: bool = True,
    ) -> None:
        self.seen = seen
        self.beats = beats
        self.document = document

    def read(
        self, servers: Mapping[str, Sequence[str]]
    ) -> Mapping[str, tuple[Published | None, Mapping[str, Word]]]:
        published = None if self.document is None else Published(document=self.document, version=1)
        return {site: (published, {one: self.word(one) for one in named}) for site, named in servers.items()}

    def word(self, server: str) -> Word:
        seen_at = self.seen.get(server)
        return Word(server=server, seen_at=seen_at, beats=self.beats and seen_at is not None)


def site(*servers: str, intent: str = "provisioned", pending_since: str | None = None) -> StoredSite:
    status = SiteStatus(
        state="enforcement pending" if pending_since else "enforced",
        intent=intent,
        servers=servers,
        pending_since=pending_since,
    )
    return StoredSite(site="tokyo", intent=intent, status=status)


def watched(item: StoredSite, store: Store) -> Watched:
    (found,) = watch(Table(item), store, configured=["tokyo"], now=NOW)
    return found


@pytest.mark.parametrize(
    ("seen", "not_seen"),
    [
        ({"vbr01": NOW, "vbr02": NOW - DAY}, ()),
        ({"vbr01": NOW - DAY - SECOND, "vbr02": NOW}, ("vbr01",)),
        ({"vbr01": NOW - 300 * DAY, "vbr02": NOW - 2 * DAY}, ("vbr01", "vbr02")),
        # Never heard of, and the endpoint was published a week ago.
        ({"vbr01": NOW, "vbr02": None}, ("vbr02",)),
        # A clock that is ahead of ours.
        ({"vbr01": NOW + DAY, "vbr02": NOW}, ()),
    ],
)
def test_a_server_that_is_silent_for_a_day_is_counted(
    seen: Mapping[str, datetime | None], not_seen: tuple[str, ...]
) -> None:
    """Two heartbeats were missed by then; a day and not a second less."""
    assert watched(site("vbr01", "vbr02"), Store(seen)).not_seen == not_seen


def test_the_silence_of_a_client_that_never_says_that_it_is_there_means_nothing() -> None:
    """It reports when something has changed; that may be years ago."""
    store = Store({"vbr01": NOW - 300 * DAY}, beats=False)

    assert watched(site("vbr01"), store).not_seen == ()


def test_a_server_has_time_to_answer_after_the_first_publication() -> None:
    """Otherwise every new site would raise an alarm before anybody has installed the client."""
    fresh = replace(DOCUMENT, published_at="2026-02-06T12:00:00Z")

    assert watched(site("vbr01"), Store({}, fresh)).not_seen == ()


@pytest.mark.parametrize(
    ("item", "document"),
    [
        (site("vbr01", intent="released"), DOCUMENT),
        (site("vbr01"), replace(DOCUMENT, state=EndpointState.WITHDRAWN)),
        (site("vbr01"), None),
    ],
)
def test_servers_of_a_site_that_is_not_in_use_may_be_silent(
    item: StoredSite, document: EndpointDocument | None
) -> None:
    """They may be gone for good: an alarm for ever is an alarm that nobody reads."""
    assert watched(item, Store({}, document)).not_seen == ()


@pytest.mark.parametrize(
    ("pending_since", "days"),
    [
        (None, 0),
        ("2026-02-07T12:00:00Z", 0),
        ("2026-02-06T12:00:01Z", 0),
        ("2026-02-06T12:00:00Z", 1),
        ("2026-01-31T12:00:00Z", 7),
        ("2026-02-09T12:00:00Z", 0),
    ],
)
def test_whole_days_of_waiting_are_counted(pending_since: str | None, days: int) -> None:
    """The alarm's threshold is in days, and a clock that was ahead is no wait."""
    assert watched(site(pending_since=pending_since), Store({})).pending_days == days


def test_a_site_that_was_never_run_is_watched_in_silence() -> None:
    """The metric must exist from the first hour: what ends is told, what never began is not."""
    assert watch(Table(), Store({}, None), configured=["tokyo", "osaka"], now=NOW) == [
        Watched(site="tokyo", not_seen=(), pending_days=0),
        Watched(site="osaka", not_seen=(), pending_days=0),
    ]
