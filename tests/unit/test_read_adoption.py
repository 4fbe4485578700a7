"""
What servers have reported, and what may follow from it.

Too early, and running backups are refused; too late, and a bucket stays open or an endpoint costs money.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from botocore.stub import Stubber
from moto import mock_aws
from mypy_boto3_ssm import SSMClient

from contract.documents import AdoptionReport, EndpointDocument, EndpointState, Outcome
from contract.names import EndpointId, SiteName
from lambdas.core.errors import ServersNotBackError
from lambdas.read_adoption.logic import (
    NO_EXPECTED_SERVERS,
    Adoption,
    Reversion,
    SiteParameters,
    adoption,
    reversion,
)
from lambdas.read_adoption.ssm_site_parameters import SsmSiteParameters
from tests.contract.golden_documents import changed, golden

TOKYO = SiteName("tokyo")
NEW, OLD, ORPHAN, ELSEWHERE = "vpce-0000000a", "vpce-0000000b", "vpce-0000000c", "vpce-0000000d"
DOCUMENT = EndpointDocument.from_json(json.dumps(golden("endpoint-document-1-active")))
REPORT = AdoptionReport.from_json(json.dumps(golden("adoption-report-1-adopted")))
NOW = datetime(2026, 2, 10, 12, 0, tzinfo=UTC)


def published(endpoint_id: str, state: EndpointState = EndpointState.ACTIVE) -> EndpointDocument:
    """Return the document in Parameter Store; what else is in it doesn't matter here."""
    return replace(DOCUMENT, vpc_endpoint_id=EndpointId(endpoint_id), state=state)


def report(endpoint_id: str, outcome: Outcome = Outcome.ADOPTED) -> AdoptionReport:
    """Return a server's report."""
    return replace(REPORT, vpc_endpoint_id=EndpointId(endpoint_id), outcome=outcome)


ADOPTED, ON_OLD = report(NEW), report(OLD)
FAILED, REVERTED = report(NEW, Outcome.FAILED), report(NEW, Outcome.REVERTED)


def weighed(
    reports: Mapping[str, AdoptionReport | None],
    *,
    document: EndpointDocument | None = None,
    **changes: Any,
) -> Adoption:
    """Weigh the reports of a site with two expected servers and a locked bucket."""
    given: dict[str, Any] = {
        "endpoint_id": NEW,
        "expected": ("vbr01", "vbr02"),
        "known": (NEW,),
        "others": (),
        "enforced": ("locked",),
        "pending": (),
    }
    return adoption(SiteParameters(published=document, reports=reports), **{**given, **changes})


BOTH = {"vbr01": ADOPTED, "vbr02": ADOPTED}


def test_a_converged_site_waits_for_nobody() -> None:
    """One endpoint, every bucket locked: nothing to do and nothing to say."""
    assert weighed(BOTH, document=published(NEW)) == Adoption(
        enforce=("locked",), pending=(), let_in=(NEW,), retired=(), waits_for=(), why=None
    )
    assert not weighed(BOTH).waiting


@pytest.mark.parametrize(
    ("reports", "waits_for"),
    [
        ({}, ("vbr01", "vbr02")),
        ({"vbr01": ADOPTED}, ("vbr02",)),
        ({"vbr01": ADOPTED, "vbr02": FAILED}, ("vbr02",)),
        ({"vbr01": ADOPTED, "vbr02": REVERTED}, ("vbr02",)),
        # Adopted, but not this endpoint: it still goes through another one.
        ({"vbr01": ADOPTED, "vbr02": ON_OLD}, ("vbr02",)),
        # Unreadable is no answer.
        ({"vbr01": ADOPTED, "vbr02": None}, ("vbr02",)),
        # Nobody has asked for this one's word.
        ({"vbr01": ADOPTED, "vbr03": ADOPTED}, ("vbr02",)),
        # Names are compared as a whole.
        ({"vbr01": ADOPTED, "vbr02.example.local": ADOPTED}, ("vbr02",)),
    ],
)
def test_a_bucket_in_use_is_locked_only_when_every_expected_server_has_moved(
    reports: Mapping[str, AdoptionReport | None], waits_for: tuple[str, ...]
) -> None:
    """One server that still writes from outside is one server whose backups would fail."""
    held = weighed(reports, pending=("in-use",))

    assert (held.enforce, held.pending, held.waits_for) == (("locked",), ("in-use",), waits_for)
    assert held.why is None
    assert held.waiting


def test_a_bucket_in_use_is_locked_when_every_expected_server_has_moved() -> None:
    """What others report, or fail to, holds nobody up."""
    reports = {**BOTH, "test-server": FAILED, "odd": None}

    moved = weighed(reports, pending=("in-use", "second"))

    assert (moved.enforce, moved.pending) == (("locked", "in-use", "second"), ())
    assert (moved.waits_for, moved.why, moved.waiting) == ((), None, False)


@pytest.mark.parametrize("reports", [{}, BOTH])
def test_without_expected_servers_a_bucket_in_use_is_never_locked(
    reports: Mapping[str, AdoptionReport | None],
) -> None:
    """Nobody knows how many there are: it stays open, and says what to do about it."""
    held = weighed(reports, expected=(), pending=("in-use",))

    assert (held.enforce, held.pending, held.waits_for) == (("locked",), ("in-use",), ())
    assert held.why == NO_EXPECTED_SERVERS
    assert held.waiting


def test_without_expected_servers_a_site_with_nothing_held_back_is_quiet() -> None:
    """Buckets that were new are locked at once: there is nobody to name and nothing to complain about."""
    quiet = weighed({}, expected=(), document=published(NEW))

    assert (quiet.why, quiet.waits_for, quiet.waiting) == (None, (), False)


def test_servers_that_have_not_answered_yet_are_named_only_when_something_waits_for_them() -> None:
    """A new site is finished before its first server has come by."""
    quiet = weighed({}, document=published(NEW))

    assert (quiet.waits_for, quiet.waiting) == ((), False)


@pytest.mark.parametrize(
    ("known", "document"),
    [
        ((OLD,), None),
        ((OLD, NEW), published(NEW)),
        ((OLD,), published(OLD)),
        # The run that published was stopped before it could remember anything.
        ((), published(OLD)),
    ],
)
@pytest.mark.parametrize("others", [(), (OLD,)])
def test_a_replaced_endpoint_is_let_in_until_all_have_moved(
    known: tuple[str, ...], document: EndpointDocument | None, others: tuple[str, ...]
) -> None:
    """Whether it still exists or was deleted by hand: who still uses it, only the servers know."""
    held = weighed({"vbr01": ADOPTED, "vbr02": ON_OLD}, known=known, document=document, others=others)
    moved = weighed(BOTH, known=known, document=document, others=others)

    assert (held.let_in, held.retired, held.waits_for) == ((NEW, OLD), (), ("vbr02",))
    assert held.waiting
    assert (moved.let_in, moved.retired, moved.waits_for, moved.waiting) == ((NEW,), (OLD,), (), False)


def test_a_replaced_endpoint_stays_for_a_server_that_nobody_expects_and_that_uses_it() -> None:
    """It has said so itself: shut out, its backups would fail, and only because a name is missing."""
    given: dict[str, Any] = {"known": (OLD, NEW), "others": (OLD,), "pending": ("in-use",)}
    held = weighed({**BOTH, "vbr03": ON_OLD}, **given)
    moved = weighed({**BOTH, "vbr03": ADOPTED}, **given)

    assert (held.let_in, held.retired, held.waits_for, held.waiting) == ((NEW, OLD), (), ("vbr03",), True)
    # The lock lets both endpoints in, so it needn't wait.
    assert (held.enforce, held.pending, held.why) == (("locked", "in-use"), (), None)
    assert (moved.let_in, moved.retired, moved.waits_for, moved.waiting) == ((NEW,), (OLD,), (), False)


@pytest.mark.parametrize("other", [FAILED, REVERTED, report(ELSEWHERE), None])
def test_a_server_that_nobody_expects_keeps_no_endpoint_that_it_does_not_use(
    other: AdoptionReport | None,
) -> None:
    """A test server that once reported must not cost an endpoint for ever."""
    moved = weighed({**BOTH, "vbr03": other}, known=(OLD, NEW), others=(OLD,))

    assert (moved.let_in, moved.retired, moved.waits_for) == ((NEW,), (OLD,), ())


def test_the_current_endpoint_is_let_in_first_and_former_ones_in_a_fixed_order() -> None:
    """Another order would be another policy text each time."""
    one = weighed({}, known=(ORPHAN, OLD, NEW))
    other = weighed({}, known=(NEW, OLD, ORPHAN))

    assert one == other
    assert one.let_in == (NEW, OLD, ORPHAN)


def test_a_replacement_that_nobody_can_be_asked_about_keeps_both_and_says_why() -> None:
    """Without expected servers it would wait for ever in silence."""
    held = weighed({}, expected=(), known=(OLD, NEW))

    assert (held.let_in, held.retired, held.why, held.waiting) == ((NEW, OLD), (), NO_EXPECTED_SERVERS, True)


@pytest.mark.parametrize("reports", [{}, BOTH])
@pytest.mark.parametrize("expected", [(), ("vbr01", "vbr02")])
def test_what_nobody_was_ever_told_of_is_retired_at_once(
    reports: Mapping[str, AdoptionReport | None], expected: tuple[str, ...]
) -> None:
    """A stopped run has left it: it costs money, and no answer will ever come."""
    got = weighed(reports, expected=expected, others=(ORPHAN,), document=published(NEW))

    assert (got.let_in, got.retired, got.waits_for, got.waiting) == ((NEW,), (ORPHAN,), (), False)


def test_an_orphan_goes_while_the_former_endpoint_stays() -> None:
    """Both are beside the current one; only one of them may be in use."""
    held = weighed({}, known=(OLD,), others=(OLD, ORPHAN))

    assert (held.let_in, held.retired) == ((NEW, OLD), (ORPHAN,))


def test_what_a_hostile_report_names_is_never_let_in() -> None:
    """Whoever has a server's key may write reports: the policy must not follow them anywhere."""
    got = weighed({"vbr01": report(ELSEWHERE), "vbr02": ADOPTED}, pending=("in-use",))

    assert got.let_in == (NEW,)
    assert got.retired == ()
    assert got.waits_for == ("vbr01",)


def test_the_endpoint_of_a_withdrawn_document_is_no_endpoint_that_servers_were_told_of() -> None:
    """The site was released and is wanted again: a deleted endpoint must not be waited for, or let in."""
    document = published(OLD, EndpointState.WITHDRAWN)
    back = {"vbr01": report(OLD, Outcome.REVERTED)}

    again = weighed(back, known=(), document=document, enforced=(), pending=("in-use",))

    assert (again.let_in, again.retired) == ((NEW,), ())
    assert (again.enforce, again.waits_for) == ((), ("vbr01", "vbr02"))


def test_a_release_that_is_called_off_half_way_still_lets_the_known_endpoint_in() -> None:
    """Servers that have not gone back yet go through it."""
    document = published(OLD, EndpointState.WITHDRAWN)

    again = weighed({"vbr01": ON_OLD}, known=(OLD,), document=document, others=(OLD,))

    assert (again.let_in, again.retired) == ((NEW, OLD), ())


WITHDRAWN_AT = "2026-02-08T12:00:00Z"
WITHDRAWN = replace(DOCUMENT, state=EndpointState.WITHDRAWN, published_at=WITHDRAWN_AT)
TWO_DAYS = timedelta(hours=48)


def reverted(
    reports: Mapping[str, AdoptionReport | None],
    *,
    document: EndpointDocument | None = WITHDRAWN,
    **changes: Any,
) -> Reversion:
    """Weigh the reports of a site with two expected servers, exactly at its deadline."""
    given: dict[str, Any] = {
        "expected": ("vbr01", "vbr02"),
        "forced": False,
        "deadline": TWO_DAYS,
        "now": NOW,
        "patient": False,
    }
    return reversion(SiteParameters(published=document, reports=reports), **{**given, **changes})


ALL_BACK = {"vbr01": REVERTED, "vbr02": REVERTED}
LATE = NOW + timedelta(seconds=1)


@pytest.mark.parametrize("patient", [True, False])
@pytest.mark.parametrize("now", [NOW, LATE, NOW + timedelta(days=90)])
def test_a_site_is_released_when_every_server_is_back(now: datetime, *, patient: bool) -> None:
    """Early or late: whichever endpoint they had, they don't use it any more."""
    assert reverted(ALL_BACK, now=now, patient=patient) == Reversion(back=True, waits_for=())
    assert reverted({**ALL_BACK, "vbr02": report(OLD, Outcome.REVERTED)}).back


@pytest.mark.parametrize(
    ("reports", "expected", "waits_for"),
    [
        ({}, ("vbr02", "vbr01"), ("vbr01", "vbr02")),
        ({"vbr01": REVERTED}, ("vbr01", "vbr02"), ("vbr02",)),
        ({"vbr01": REVERTED, "vbr02": ADOPTED}, ("vbr01", "vbr02"), ("vbr02",)),
        ({"vbr01": REVERTED, "vbr02": FAILED}, ("vbr01", "vbr02"), ("vbr02",)),
        ({"vbr01": REVERTED, "vbr02": None}, ("vbr01", "vbr02"), ("vbr02",)),
        # Not expected, but it has reported once: its backups would break as well.
        ({**ALL_BACK, "another": ADOPTED}, ("vbr01", "vbr02"), ("another",)),
        ({**ALL_BACK, "another": None}, ("vbr01", "vbr02"), ("another",)),
        ({"another": FAILED}, (), ("another",)),
    ],
)
def test_a_release_waits_for_whoever_could_still_use_the_endpoint(
    reports: Mapping[str, AdoptionReport | None], expected: tuple[str, ...], waits_for: tuple[str, ...]
) -> None:
    """Within the deadline every run waits and says for whom."""
    for patient in (True, False):
        assert reverted(reports, expected=expected, patient=patient) == Reversion(
            back=False, waits_for=waits_for
        )


@pytest.mark.parametrize(
    ("reports", "laggards"),
    [
        ({}, ("vbr01", "vbr02")),
        ({"vbr01": REVERTED}, ("vbr02",)),
        ({"vbr01": REVERTED, "vbr02": ADOPTED}, ("vbr02",)),
        ({**ALL_BACK, "another": None}, ("another",)),
    ],
)
def test_behind_the_deadline_the_daily_run_fails_and_names_the_laggards(
    reports: Mapping[str, AdoptionReport | None], laggards: tuple[str, ...]
) -> None:
    """A person must decide; once a day is enough to say so, and the message says what to do."""
    with pytest.raises(ServersNotBackError, match=r"release the site again with force$") as late:
        reverted(reports, now=LATE)

    assert late.value.servers == laggards
    assert str(late.value).startswith(f"{', '.join(laggards)}: ")


def test_behind_the_deadline_the_hourly_run_goes_on_waiting() -> None:
    """Twenty-four mails a day about one switched-off server would be read by nobody."""
    assert reverted({"vbr01": REVERTED}, now=LATE, patient=True) == Reversion(
        back=False, waits_for=("vbr02",)
    )


@pytest.mark.parametrize("now", [NOW - TWO_DAYS, NOW, LATE])
@pytest.mark.parametrize("patient", [True, False])
def test_force_goes_on_and_still_names_the_laggards(now: datetime, *, patient: bool) -> None:
    """Whoever forces it takes it upon himself; whom it hits must be on record."""
    assert reverted({"vbr01": REVERTED}, forced=True, now=now, patient=patient) == Reversion(
        back=True, waits_for=("vbr02",)
    )


def test_a_site_that_was_never_published_is_waited_for_by_nobody() -> None:
    """No server can use what none was told of."""
    assert reverted({}, document=None, now=LATE) == Reversion(back=True, waits_for=())


def test_a_site_without_expected_servers_is_released_when_all_that_reported_are_back() -> None:
    """One that never said a word never adopted anything."""
    assert reverted({}, expected=()) == Reversion(back=True, waits_for=())
    assert reverted({"vbr01": REVERTED}, expected=()).back


def test_the_deadline_counts_only_from_a_withdrawal() -> None:
    """A document that still says "active" is old for another reason: its servers were told nothing yet."""
    active = replace(DOCUMENT, published_at="2020-01-01T00:00:00Z")

    assert reverted({}, document=active, now=LATE) == Reversion(back=False, waits_for=("vbr01", "vbr02"))


@pytest.mark.parametrize(("hours", "late"), [(47, True), (48, False), (49, False)])
def test_the_deadline_is_the_settings_own(hours: int, *, late: bool) -> None:
    """A site whose servers are on ships may need weeks."""
    if not late:
        assert not reverted({}, deadline=timedelta(hours=hours)).back
        return
    with pytest.raises(ServersNotBackError):
        reverted({}, deadline=timedelta(hours=hours))


@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    """An emulated Parameter Store."""

    client: SSMClient

    def put(self, name: str, value: str) -> None:
        self.client.put_parameter(Name=name, Value=value, Type="String")

    def read(self) -> SiteParameters:
        return SsmSiteParameters(self.client).read(TOKYO)


@pytest.fixture(name="store")
def _store() -> Iterator[Store]:
    with mock_aws():
        yield Store(client=boto3.client("ssm"))


def as_server(server: str, **changes: Any) -> str:
    """Return the text of a server's report, changed as asked."""
    document = {**golden("adoption-report-1-adopted"), "server": server}
    for path, value in changes.items():
        document = changed(document, path, value)
    return json.dumps(document)


def test_a_site_about_which_nothing_is_known(store: Store) -> None:
    """No parameter at all is an ordinary answer."""
    assert store.read() == SiteParameters(published=None, reports={})


def test_the_document_and_every_report_are_read(store: Store) -> None:
    """More than ten, so that Parameter Store answers in pages."""
    servers = [f"vbr{number:02}.example.local" for number in range(23)]
    store.put("/vbr-privatelink/tokyo/endpoint", DOCUMENT.to_json())
    for server in servers:
        store.put(f"/vbr-privatelink/tokyo/adoption/{server}", as_server(server))

    read = store.read()

    assert read.published == DOCUMENT
    assert sorted(read.reports) == servers
    assert all(found is not None and found.server == server for server, found in read.reports.items())


def test_other_parameters_are_nobodys_report(store: Store) -> None:
    """Heartbeats, settings, and sites whose names begin alike."""
    store.put("/vbr-privatelink/tokyo/settings", "{}")
    store.put("/vbr-privatelink/tokyo/seen/vbr01", as_server("vbr01"))
    store.put("/vbr-privatelink/tokyo/seen/adoption/vbr01", as_server("vbr01"))
    store.put("/vbr-privatelink/tokyo-2/adoption/vbr01", as_server("vbr01"))
    store.put("/vbr-privatelink/tokyo-2/endpoint", DOCUMENT.to_json())
    store.put("/vbr-privatelink/osaka/adoption/vbr01", as_server("vbr01"))
    found = store.read()

    assert found == SiteParameters(published=None, reports={}, seen=frozenset({"adoption/vbr01", "vbr01"}))
    assert found.servers(()) == ("vbr01",)
    assert found.servers(["vbr02"]) == ("vbr02", "vbr01")


HOSTILE: dict[str, str] = {
    "not JSON": "adopted",
    "empty object": "{}",
    "another kind of document": DOCUMENT.to_json(),
    "a newer version": as_server("vbr01", schema_version=2),
    "another server's": as_server("vbr02"),
    "an outcome that does not exist": as_server("vbr01", outcome="succeeded"),
    "an endpoint that is none": as_server("vbr01", vpc_endpoint_id="*"),
    "an unknown field": json.dumps({**golden("adoption-report-1-adopted"), "server": "vbr01", "force": True}),
    "control characters": as_server("vbr01", client_version="1\n2"),
    "nested deeply": "[" * 2000,
    "outside ASCII": as_server("vbr01").replace("vbr01", "vbr0\u0661"),
    "the same field twice": as_server("vbr01").replace("{", '{"outcome": "adopted",', 1),
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_report_is_no_answer_and_harms_nobody_else(store: Store, text: str) -> None:
    """It neither stops the run nor counts as adopted; the report beside it is read as ever."""
    store.put("/vbr-privatelink/tokyo/endpoint", DOCUMENT.to_json())
    store.put("/vbr-privatelink/tokyo/adoption/vbr01", text)
    store.put("/vbr-privatelink/tokyo/adoption/vbr02", as_server("vbr02"))

    read = store.read()

    assert read.published == DOCUMENT
    assert read.reports["vbr01"] is None
    assert read.reports["vbr02"] is not None


def test_a_report_below_another_ones_name_is_not_that_ones(store: Store) -> None:
    """Parameter names are paths: whoever may write one may write below it."""
    store.put("/vbr-privatelink/tokyo/adoption/vbr01/vbr02", as_server("vbr02"))

    assert store.read().reports == {"vbr01/vbr02": None}


@pytest.mark.parametrize("text", ["active", "{}", as_server("vbr01")])
def test_a_document_that_cannot_be_read_is_none(store: Store, text: str) -> None:
    """Edited by hand; the run publishes it anew, and reports are read all the same."""
    store.put("/vbr-privatelink/tokyo/endpoint", text)
    store.put("/vbr-privatelink/tokyo/adoption/vbr01", as_server("vbr01"))

    read = store.read()

    assert read.published is None
    assert read.reports["vbr01"] is not None


def test_an_error_is_not_taken_for_an_unreported_site() -> None:
    """A release that took "throttled" for "nobody ever reported" would delete a live endpoint."""
    client = boto3.client("ssm")
    with Stubber(client) as stub:
        stub.add_client_error("get_parameters_by_path", "ThrottlingException")

        with pytest.raises(ClientError, match="ThrottlingException"):
            SsmSiteParameters(client).read(TOKYO)
