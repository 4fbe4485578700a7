"""The fleet's dashboard: what it shows of a thousand sites, and what its buttons ask of an account."""

import html
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber
from moto import mock_aws
from mypy_boto3_dynamodb import DynamoDBClient

from lambdas.core.errors import AccessDeniedError, AwsUnavailableError, InvalidRequestError
from lambdas.core.fleet import FleetSite, FleetStatus
from lambdas.core.site_overview import Level
from lambdas.request_run import handler as request_handler
from lambdas.request_run.dynamodb_known_sites import DynamoDbKnownSites
from lambdas.request_run.eventbridge_buses import EventBridgeBuses
from lambdas.request_run.logic import Press, RunRequest, ask, pressed
from lambdas.show_fleet import handler as show_handler
from lambdas.show_fleet.fleet_sections import MOST_SECTIONS, fleet
from lambdas.show_fleet.logic import rows

NOW = datetime(2026, 1, 31, 12, 0, 0, tzinfo=UTC)
ACCOUNT, REGION = "444455556666", "ap-northeast-1"
TABLE = "fleet"
SHOW = f"arn:aws:lambda:{REGION}:111122223333:function:customWidgetVbrPrivateLinkFleet"
START = f"{SHOW}Start"
BUS = f"arn:aws:events:{REGION}:{ACCOUNT}:event-bus/default"
EXECUTION = f"arn:aws:states:{REGION}:{ACCOUNT}:execution:vbr-privatelink-reconcile:run"


def a_site(number: int = 0, *, told_at: str | None = "2026-01-31T11:00:00Z", **status: Any) -> FleetSite:
    """Return what the table keeps of a site."""
    kept = {
        "state": "enforced",
        "intent": "provisioned",
        "servers": ("vbr01",),
        "moved": ("vbr01",),
        "execution": EXECUTION,
        **status,
    }
    return FleetSite(
        account_id=f"{100000000000 + number}",
        region=REGION,
        site="tokyo",
        told_at=told_at,
        status=FleetStatus.model_validate(kept),
    )


def drawn(*sites: FleetSite, only_attention: bool = False) -> str:
    """Draw the fleet."""
    found = rows(sites, now=NOW, silent_after_days=3)
    return str(fleet(found, now=NOW, only_attention=only_attention, show_function=SHOW, start_function=START))


def text(markup: str) -> str:
    """Return what a person reads."""
    return html.unescape(re.sub(r"<[^>]*>", " ", markup))


# What is shown


def test_each_site_is_shown_with_its_account_and_region() -> None:
    """A name alone says nothing: every account has a site of the same name."""
    page = text(drawn(a_site(1), a_site(2, state="failed", error="no subnet")))

    assert "100000000001" in page
    assert "100000000002" in page
    assert "no subnet" in page
    assert "2 sites in 2 accounts." in page


def test_the_filter_leaves_what_needs_somebody() -> None:
    """And the way back to all."""
    failed, fine = a_site(1, state="failed", error="no subnet"), a_site(2)

    everything, some = drawn(failed, fine), drawn(failed, fine, only_attention=True)

    assert "100000000002" in everything
    assert "100000000002" not in some
    assert "100000000001" in some
    assert '{"show": "attention"}' in html.unescape(everything)
    assert '{"show": "all"}' in html.unescape(some)


@pytest.mark.parametrize(
    ("site", "level", "says"),
    [
        (a_site(), Level.IN_ORDER, None),
        (a_site(told_at="2026-01-27T11:00:00Z"), Level.WRONG, "4 days ago"),
        (a_site(told_at="2026-01-29T11:00:00Z"), Level.IN_ORDER, None),
        (a_site(state="failed", error="x"), Level.WRONG, "x"),
        (a_site(state="enforcement pending", waits_for=["vbr02"]), Level.WAITING, "vbr02"),
        (a_site(state="released", intent="released"), Level.RELEASED, None),
        (a_site(left=["policy of tokyo"]), Level.WRONG, "policy of tokyo"),
        (
            FleetSite(account_id=ACCOUNT, region=REGION, site="tokyo", told_at=None),
            Level.WRONG,
            "has said nothing",
        ),
    ],
)
def test_a_site_is_weighed_by_what_it_said_and_by_its_silence(
    site: FleetSite, level: Level, says: str | None
) -> None:
    """The same words as in the account itself, and what only the hub can know."""
    (row,) = rows([site], now=NOW, silent_after_days=3)

    assert row.level is level
    assert (row.account_id, row.region) == (site.account_id, REGION)
    assert says is None or any(says in problem for problem in row.problems)


def test_a_run_that_is_the_accounts_own_is_linked() -> None:
    """Another link was thrown away when it came."""
    assert f"executions/details/{EXECUTION.replace(':', '%3A')}" in drawn(a_site())
    assert "executions/details" not in drawn(a_site(execution=None))


def test_html_of_an_account_is_shown_as_text() -> None:
    """An account of the organization may say anything."""
    hostile = '</table><script>alert(1)</script><cwdb-action action="call">'
    page = drawn(a_site(state="failed", error=hostile, waits_for=[hostile], left=[hostile]))

    assert "<script" not in page
    assert hostile in text(page.replace("&lt;", "\x00")).replace("\x00", "<")
    assert page.count("<cwdb-action") == 4


def test_buttons_are_for_those_that_need_somebody() -> None:
    """Each says what it will do, and where."""
    page = drawn(a_site(1), a_site(2, state="failed", error="x"))
    asked = [json.loads(html.unescape(one)) for one in re.findall(r">(\{[^<]*\})</cwdb-action>", page)]
    confirmations = [html.unescape(one) for one in re.findall(r'confirmation="([^"]*)"', page)]

    assert [one for one in asked if "request" in one] == [
        {"request": request, "account": "100000000002", "region": REGION, "site": "tokyo"}
        for request in ("provision", "check", "release")
    ]
    assert len(confirmations) == 3
    assert all("tokyo in 100000000002, ap-northeast-1" in one for one in confirmations)


def test_a_thousand_sites_fit_into_what_cloudwatch_shows() -> None:
    """Half of them failing, with the longest texts that are kept."""
    sites = [
        a_site(number, **({"state": "failed", "error": "e" * 600} if number % 2 else {}))
        for number in range(1000)
    ]

    page = drawn(*sites)

    assert len(page.encode()) < 1_000_000
    assert page.count("<section") == MOST_SECTIONS
    assert "100000000999" in page


# What a button asks for


@pytest.fixture(name="table")
def _table() -> Iterator[DynamoDBClient]:
    """The fleet's table with one site."""
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
        client.put_item(
            TableName=TABLE,
            Item={
                "account": {"S": ACCOUNT},
                "place": {"S": f"{REGION}/tokyo"},
                "told_at": {"S": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")},
                "status": {"S": FleetStatus(state="failed", intent="provisioned", error="x").to_json()},
            },
        )
        yield client


class Buses:
    """Keeps what is put."""

    def __init__(self) -> None:
        self.put_requests: list[RunRequest] = []

    def put(self, request: RunRequest) -> None:
        """Keep it."""
        self.put_requests.append(request)


def press(**changes: str) -> dict[str, Any]:
    """Return what CloudWatch sends for a button."""
    return {
        "widgetContext": {"theme": "light"},
        "request": "provision",
        "account": ACCOUNT,
        "region": REGION,
        "site": "tokyo",
        **changes,
    }


@pytest.mark.parametrize(
    ("request_", "detail_type"),
    [
        ("provision", "Provision Requested"),
        ("check", "Check Requested"),
        ("release", "Release Requested"),
    ],
)
def test_a_press_is_one_event_on_the_accounts_own_bus(
    table: DynamoDBClient, request_: str, detail_type: str
) -> None:
    """The account's workflow reads it as its own administrator's."""
    buses = Buses()

    ask(DynamoDbKnownSites(table, table=TABLE), buses, pressed(press(request=request_)))

    assert buses.put_requests == [
        RunRequest(bus_arn=BUS, region=press_region(), detail_type=detail_type, detail='{"site": "tokyo"}')
    ]


def press_region() -> Any:
    return REGION


@pytest.mark.parametrize(
    "unknown",
    [{"account": "111122223333"}, {"region": "us-east-1"}, {"site": "osaka"}],
)
def test_a_site_that_the_hub_never_heard_of_is_not_asked_for(
    table: DynamoDBClient, unknown: dict[str, str]
) -> None:
    """A dashboard of somebody's own could name any account."""
    buses = Buses()

    with pytest.raises(InvalidRequestError, match="has heard of no site"):
        ask(DynamoDbKnownSites(table, table=TABLE), buses, pressed(press(**unknown)))

    assert buses.put_requests == []


@pytest.mark.parametrize(
    "event",
    [
        {},
        {"widgetContext": {}},
        press(request="grant"),
        press(account="1"),
        press(site="../x"),
        press(force="true"),
        {"request": "provision", "site": "tokyo"},
    ],
)
def test_anything_but_a_button_is_refused(event: dict[str, Any]) -> None:
    """A refresh calls without parameters, and must never start anything."""
    with pytest.raises(InvalidRequestError):
        pressed(event)


def test_a_region_that_is_none_is_refused(table: DynamoDBClient) -> None:
    """It becomes a part of an address."""
    with pytest.raises(Exception, match="region"):
        ask(DynamoDbKnownSites(table, table=TABLE), Buses(), Press(**{**press_only(), "region": "x y"}))


def press_only() -> dict[str, Any]:
    return {name: value for name, value in press().items() if name != "widgetContext"}


@pytest.mark.parametrize(
    ("code", "error"),
    [("AccessDeniedException", AccessDeniedError), ("InternalFailure", AwsUnavailableError)],
)
def test_an_event_that_was_not_taken_is_told(code: str, error: type[Exception]) -> None:
    """PutEvents answers 200 all the same."""
    client = boto3.client("events", region_name=REGION)
    request = RunRequest(bus_arn=BUS, region=press_region(), detail_type="Check Requested", detail="{}")
    with Stubber(client) as stubber:
        stubber.add_response(
            "put_events",
            {"FailedEntryCount": 1, "Entries": [{"ErrorCode": code, "ErrorMessage": "no"}]},
        )
        with pytest.raises(error, match=code):
            EventBridgeBuses(lambda _region: client).put(request)


# The doors


class Context:
    """What Lambda tells a handler about its call."""

    function_name = "customWidgetVbrPrivateLinkFleet"
    memory_limit_in_mb = 256
    invoked_function_arn = SHOW
    aws_request_id = "c6af9ac6-7b61-11e6-9a41-93e8deadbeef"


@pytest.mark.usefixtures("table")
def test_both_widgets_answer_as_cloudwatch_wants(monkeypatch: pytest.MonkeyPatch) -> None:
    """Documentation for who asks for it, HTML for everybody else, and one sentence for a mistake."""
    for name, value in {
        "FLEET_TABLE": TABLE,
        "SILENT_AFTER_DAYS": "3",
        "SHOW_FUNCTION_ARN": SHOW,
        "START_FUNCTION_ARN": START,
    }.items():
        monkeypatch.setenv(name, value)
    show_handler._fleet.cache_clear()
    request_handler._known.cache_clear()

    def show(event: dict[str, Any]) -> str:
        return show_handler.lambda_handler(event, Context())  # type: ignore[arg-type]

    def request(event: dict[str, Any]) -> str:
        return request_handler.lambda_handler(event, Context())  # type: ignore[arg-type]

    assert show({"describe": True}).startswith("### VBR PrivateLink")
    assert request({"describe": True}).startswith("### VBR PrivateLink")
    page = show({"widgetContext": {"theme": "dark"}, "show": "attention"})
    assert "vpl dark" in page
    assert ACCOUNT in page
    assert "Show all sites" in page
    assert "press one" in text(request({"widgetContext": {}}))
    assert "has heard of no site" in text(request(press(site="osaka")))
