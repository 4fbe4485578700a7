"""
What the hub keeps of the sites: who says something is the envelope's word, and never the detail's.

Every account of the organization may put events; so everything in them is hostile until it was checked.
"""

import itertools
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from moto import mock_aws
from mypy_boto3_dynamodb import DynamoDBClient

from contract.errors import ContractError
from lambdas.core.dynamodb_fleet_table import DynamoDbFleetTable
from lambdas.core.errors import InvalidRequestError
from lambdas.core.fleet import Concern, FleetDrift, FleetSite, FleetStatus, concern
from lambdas.record_site_status import handler as record_handler
from lambdas.record_site_status.dynamodb_fleet import DynamoDbFleet
from lambdas.record_site_status.logic import MOST_SITES, Report, record, report_of
from lambdas.survey_fleet import handler as survey_handler

NOW = datetime(2026, 1, 31, 12, 0, 0, tzinfo=UTC)
SENDER, OTHER = "444455556666", "111122223333"
REGION = "ap-northeast-1"
TABLE = "fleet"
EXECUTION = f"arn:aws:states:{REGION}:{SENDER}:execution:vbr-privatelink-reconcile:run"


def said(**changes: Any) -> dict[str, Any]:
    """Return what a site says of itself."""
    return {
        "site": "tokyo",
        "execution": EXECUTION,
        "state": "enforced",
        "intent": "provisioned",
        "enforced": ["vbr-tokyo"],
        "pending": [],
        "waits_for": [],
        "why": None,
        "let_in": ["vpce-0123456789abcdef0"],
        "grants": [],
        "left": [],
        "error": None,
        **changes,
    }


def event(detail: object = None, **envelope: Any) -> dict[str, Any]:
    """Return the event that EventBridge hands to the function."""
    return {
        "version": "0",
        "id": "7bf73129-1428-4cd3-a780-95db273d1602",
        "detail-type": "Site Status",
        "source": "vbr-privatelink",
        "account": SENDER,
        "time": "2026-01-31T11:59:00Z",
        "region": REGION,
        "resources": [],
        "detail": said() if detail is None else detail,
        **envelope,
    }


def report(detail: object = None, **envelope: Any) -> Report:
    """Read an event that tells something."""
    read = report_of(event(detail, **envelope), now=NOW)
    assert read is not None
    return read


def status(**changes: Any) -> FleetStatus:
    """Read what an event keeps of a status."""
    kept = report(said(**changes)).said
    assert isinstance(kept, FleetStatus)
    return kept


@pytest.fixture(name="fleet_table")
def _fleet_table() -> Iterator[DynamoDBClient]:
    """The table, as the hub's stack makes it."""
    with mock_aws():
        client = boto3.client("dynamodb")
        client.create_table(
            TableName=TABLE,
            KeySchema=[
                {"AttributeName": "account", "KeyType": "HASH"},
                {"AttributeName": "place", "KeyType": "RANGE"},
            ],
            AttributeDefinitions=[
                {"AttributeName": "account", "AttributeType": "S"},
                {"AttributeName": "place", "AttributeType": "S"},
            ],
            BillingMode="PAY_PER_REQUEST",
        )
        yield client


@pytest.fixture(name="fleet")
def _fleet(fleet_table: DynamoDBClient) -> DynamoDbFleet:
    return DynamoDbFleet(fleet_table, table=TABLE)


def sites(client: DynamoDBClient) -> list[FleetSite]:
    return list(DynamoDbFleetTable(client, table=TABLE).sites())


# The envelope decides

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
CLAIMS = st.fixed_dictionaries(
    {},
    optional={
        name: st.sampled_from([OTHER, f"{OTHER}/{REGION}", EXECUTION.replace(SENDER, OTHER)]) | JSON
        for name in ("account", "account_id", "place", "region", "told_at", "expires_at", "execution", "key")
    },
)


@settings(deadline=None)
@given(claims=CLAIMS, hostile=st.dictionaries(st.sampled_from(sorted(said())), JSON, max_size=6))
def test_an_event_only_ever_changes_a_row_of_its_sender(
    claims: dict[str, Any], hostile: dict[str, Any]
) -> None:
    """Whatever the detail claims: it is refused with a sentence, or kept under the envelope's key."""
    try:
        read = report_of(event({**said(), **hostile, **claims}), now=NOW)
    except (ContractError, InvalidRequestError):
        return

    assert read is not None
    assert (read.account_id, read.region) == (SENDER, REGION)
    assert isinstance(read.said, FleetStatus)
    assert read.said.execution in (None, EXECUTION)
    assert len(read.said.model_dump_json()) < 40_000


def test_a_claimed_account_leaves_the_other_accounts_row_alone(
    fleet: DynamoDbFleet, fleet_table: DynamoDBClient
) -> None:
    """The same in the table: two rows, and the victim's is as it was."""
    assert record(fleet, report(account=OTHER))
    before = sites(fleet_table)[0]

    assert record(
        fleet,
        report(said(account=OTHER, account_id=OTHER, state="failed", error="mine"), account=SENDER),
    )

    victim, sender = sites(fleet_table)
    assert victim == before
    assert (sender.account_id, sender.status and sender.status.state) == (SENDER, "failed")


# What is kept


def test_a_status_is_kept_as_it_was_said() -> None:
    """The counterpart of all refusals."""
    assert status(left=["a", "b"], grants=[{"principal": "somebody"}]) == FleetStatus(
        state="enforced",
        intent="provisioned",
        enforced=("vbr-tokyo",),
        let_in=("vpce-0123456789abcdef0",),
        left=("a", "b"),
        execution=EXECUTION,
    )


def test_a_status_of_a_newer_version_is_kept_as_far_as_it_is_understood() -> None:
    """Accounts are upgraded one after the other, and the hub at its own time."""
    assert status(something_new={"a": 1}).state == "enforced"


def test_drift_is_kept_in_numbers() -> None:
    """Which things, the account's own event says."""
    drift = [{"resource": "backups", "repaired": repaired} for repaired in (True, True, False)]

    kept = report({"site": "tokyo", "drift": drift}, **{"detail-type": "Drift Found"}).said

    assert kept == FleetDrift(repaired=2, left=1)


@pytest.mark.parametrize(
    "other",
    [
        {"detail-type": "Access Granted"},
        {"detail-type": "Provision Requested"},
        {"source": "somebody"},
        {"source": "aws.states"},
    ],
)
def test_other_events_are_not_kept(other: dict[str, Any]) -> None:
    """The rule lets through two kinds; should it ever let through more, nothing happens."""
    assert report_of(event(**other), now=NOW) is None


@pytest.mark.parametrize(
    "broken",
    [
        event({}),
        event([]),
        event("tokyo"),
        event(said(site="../osaka")),
        event(said(site="a" * 33)),
        event(said(site=["tokyo"])),
        event(said(state="fine")),
        event(said(intent="destroyed")),
        event(said(enforced="vbr-tokyo")),
        event(said(enforced=[{"name": 1}])),
        event(said(pending_since="yesterday")),
        event(account="4444"),
        event(account="444455556666 "),
        event(region="moon"),
        event(time="now"),
        event(time="2026-01-31T11:59:00+09:00"),
        event({"site": "tokyo", "drift": [{"repaired": "yes"}]}, **{"detail-type": "Drift Found"}),
        {},
        [],
        None,
    ],
)
def test_what_makes_no_sense_is_refused(broken: object) -> None:
    """It goes to the dead-letter queue, and an alarm tells."""
    with pytest.raises(Exception, match=r"is|are|Input") as refusal:
        report_of(broken, now=NOW)

    assert type(refusal.value).__name__ in ("ContractError", "InvalidRequestError")
    assert len(str(refusal.value)) < 1000


def test_what_is_long_or_not_printable_is_cut() -> None:
    """An error text can be anything, and is shown to people and kept for months."""
    kept = status(error="x" * 5000, why="a\u202eb\x00c\nd", waits_for=[f"{n:0300}" for n in range(500)])

    assert kept.error is not None
    assert len(kept.error) == 600
    assert kept.why == "a?b?c?d"
    assert len(kept.waits_for) == 25
    assert max(len(server) for server in kept.waits_for) == 150


@pytest.mark.parametrize(
    "execution",
    [
        EXECUTION.replace(SENDER, OTHER),
        EXECUTION.replace(REGION, "us-east-1"),
        EXECUTION.replace("vbr-privatelink-reconcile", "evil"),
        f"{EXECUTION}/../..",
        "javascript:alert(1)",
        "",
    ],
)
def test_a_link_leads_to_the_senders_own_run_or_nowhere(execution: str) -> None:
    """People click on it with the rights of an administrator."""
    assert status(execution=execution).execution is None


# Order


def test_an_older_event_never_overwrites_a_newer_one(
    fleet: DynamoDbFleet, fleet_table: DynamoDBClient
) -> None:
    """EventBridge delivers in any order, and sometimes twice."""
    new = report(said(state="failed", error="e"), time="2026-01-31T11:59:00Z")
    old = report(time="2026-01-31T11:58:59Z")

    assert [record(fleet, each) for each in (new, old, new)] == [True, False, True]
    (site,) = sites(fleet_table)
    assert site.told_at == "2026-01-31T11:59:00Z"
    assert site.status == new.said


def test_the_last_word_stays_in_whatever_order_it_comes(
    fleet: DynamoDbFleet, fleet_table: DynamoDBClient
) -> None:
    """The same, for four events and every order."""
    for order in itertools.permutations(range(4)):
        account = f"1000000{''.join(map(str, order)):0>5}"
        for number in order:
            detail = said(error=str(number))
            record(fleet, report(detail, account=account, time=f"2026-01-31T11:00:0{number}Z"))

    kept = sites(fleet_table)
    assert len(kept) == 24
    assert {site.status and site.status.error for site in kept} == {"3"}


def test_the_future_is_not_believed(fleet: DynamoDbFleet, fleet_table: DynamoDBClient) -> None:
    """The time is the sender's: an event of next year would freeze its row, and look alive."""
    assert record(fleet, report(time="2027-01-31T12:00:00Z"))
    (site,) = sites(fleet_table)

    assert site.told_at == "2026-01-31T12:00:00Z"


def test_drift_and_status_do_not_overwrite_each_other(
    fleet: DynamoDbFleet, fleet_table: DynamoDBClient
) -> None:
    """Both are put by the same run, in the same second, and arrive as they like."""
    drift = {"site": "tokyo", "drift": [{"repaired": True}]}
    record(fleet, report(drift, **{"detail-type": "Drift Found"}, time="2026-01-31T11:59:30Z"))
    record(fleet, report())
    (site,) = sites(fleet_table)

    assert (site.told_at, site.drift_at) == ("2026-01-31T11:59:00Z", "2026-01-31T11:59:30Z")
    assert site.drift == FleetDrift(repaired=1, left=0)
    assert site.status is not None


def test_an_account_can_not_fill_the_table(fleet: DynamoDbFleet, fleet_table: DynamoDBClient) -> None:
    """Its own sites go on being told; a further one is refused, with the reason."""
    for number in range(MOST_SITES):
        assert record(fleet, report(said(site=f"site-{number}")))

    with pytest.raises(InvalidRequestError, match="sites in ap-northeast-1 already"):
        record(fleet, report(said(site="one-more")))

    assert record(fleet, report(said(site="site-0", error="still told")))
    assert record(fleet, report(region="us-east-1"))
    assert record(fleet, report(account=OTHER))
    assert len(sites(fleet_table)) == MOST_SITES + 2


def test_what_is_not_heard_of_any_more_is_forgotten_at_last(
    fleet: DynamoDbFleet, fleet_table: DynamoDBClient
) -> None:
    """Ninety days behind its last word, by DynamoDB itself."""
    record(fleet, report())
    (item,) = fleet_table.scan(TableName=TABLE)["Items"]

    ninety_days = datetime(2026, 1, 31, 11, 59, tzinfo=UTC) + timedelta(days=90)
    assert item["expires_at"]["N"] == str(int(ninety_days.timestamp()))


# Whom somebody should look after


def a_site(kept: FleetStatus | None, *, told_at: str | None = "2026-01-31T11:00:00Z") -> FleetSite:
    """Return a row."""
    return FleetSite(account_id=SENDER, region=REGION, site="tokyo", told_at=told_at, status=kept)


@pytest.mark.parametrize(
    ("site", "expected"),
    [
        (a_site(status()), None),
        (a_site(status(state="released", intent="released")), None),
        (a_site(status(state="failed", error="e")), Concern.FAILED),
        (a_site(status(state="failed"), told_at="2025-01-31T11:00:00Z"), Concern.FAILED),
        (a_site(status(state="enforcement pending")), Concern.WAITING),
        (a_site(status(state="release pending", intent="released")), Concern.WAITING),
        (a_site(status(left=["a"])), Concern.DRIFTED),
        (a_site(status(), told_at="2026-01-28T12:00:00Z"), None),
        (a_site(status(), told_at="2026-01-28T11:59:59Z"), Concern.SILENT),
        (a_site(None, told_at=None), Concern.SILENT),
    ],
)
def test_a_site_is_a_concern_when_somebody_should_look(site: FleetSite, expected: Concern | None) -> None:
    """Silence is one: nobody mails that he is gone."""
    assert concern(site, now=NOW, silent_after_days=3) is expected


def test_a_row_of_another_version_is_looked_at_and_not_fatal(fleet_table: DynamoDBClient) -> None:
    """One row that can't be read must not hide all others."""
    fleet_table.put_item(
        TableName=TABLE,
        Item={
            "account": {"S": SENDER},
            "place": {"S": f"{REGION}/tokyo"},
            "told_at": {"S": "2026-01-31T11:00:00Z"},
            "status": {"S": json.dumps({"state": "of the next version"})},
        },
    )
    (site,) = sites(fleet_table)

    assert concern(site, now=NOW, silent_after_days=3) is Concern.SILENT


# The doors


class Context:
    """What Lambda tells a handler about its call."""

    function_name = "vbr-privatelink-record-site-status"
    memory_limit_in_mb = 256
    invoked_function_arn = f"arn:aws:lambda:{REGION}:{OTHER}:function:vbr-privatelink-record-site-status"
    aws_request_id = "c6af9ac6-7b61-11e6-9a41-93e8deadbeef"


@pytest.mark.usefixtures("fleet_table")
def test_the_functions_record_and_count(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Both handlers on one table: what arrives is counted, under the names that the alarms have."""
    monkeypatch.setenv("FLEET_TABLE", TABLE)
    monkeypatch.setenv("SILENT_AFTER_DAYS", "3")
    recent = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    record_handler._fleet.cache_clear()
    survey_handler._fleet.cache_clear()

    answers = [
        record_handler.lambda_handler(each, Context())  # type: ignore[arg-type]
        for each in (
            event(time=recent),
            event(said(site="osaka", state="failed"), time=recent),
            event(said(site="kyoto"), time="2026-01-01T00:00:00Z", account=OTHER),
            event(**{"detail-type": "Access Granted"}),
        )
    ]
    survey = survey_handler.lambda_handler({"purpose": "survey"}, Context())  # type: ignore[arg-type]

    assert [answer["changed"] for answer in answers] == [True, True, True, False]
    assert survey == {"sites": 3, "failed": 1, "not heard of": 1, "waiting": 0, "drift left": 0}
    metrics = capsys.readouterr().out
    assert '"SitesFailed":[1.0]' in metrics
    assert '"SitesNotHeardOf":[1.0]' in metrics
