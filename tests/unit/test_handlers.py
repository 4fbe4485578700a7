"""
The doors: a handler parses, calls one function and serializes.

What is decided behind them has its own tests; here the whole of a function runs, as Lambda runs it,
against an emulated AWS.
"""

import importlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws
from mypy_boto3_dynamodb import DynamoDBClient
from mypy_boto3_ec2 import EC2Client

from contract.documents import EndpointDocument
from contract.settings import settings_digest
from lambdas.core.errors import (
    InvalidRequestError,
    LeaseHeldError,
    ServersNotBackError,
    SettingsNotDeployedError,
)
from lambdas.core.memory import Memory
from lambdas.core.site import Site
from tests.contract.golden_documents import golden
from tests.unit.conftest import TABLE
from tests.unit.sites import (
    ACCOUNT,
    ENDPOINT_ID,
    HOST,
    REGION,
    a_bucket,
    a_grant,
    a_known_site,
    a_site,
    execution,
)

# What the console calls answers with HTML, and has tests of its own.
WIDGETS = {"request_run", "show_fleet", "show_sites", "start_run"}
STEPS = sorted(
    {path.parent.name for path in Path(__file__).parents[2].glob("lambdas/*/handler.py")} - WIDGETS
)
RUN = execution("a")


@dataclass(frozen=True)
class Context:
    """What Lambda tells a handler about its call."""

    function_name: str = "vbr-privatelink-step"
    memory_limit_in_mb: int = 256
    invoked_function_arn: str = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:vbr-privatelink-step"
    aws_request_id: str = "c6af9ac6-7b61-11e6-9a41-93e8deadbeef"


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the stack gives the functions."""
    monkeypatch.setenv("SITES", "tokyo,osaka")
    monkeypatch.setenv("SITES_TABLE", TABLE)
    monkeypatch.setenv("TELL_UNCHANGED", "false")
    monkeypatch.setenv("RECOVERY_ACCOUNTS", "")
    monkeypatch.setenv("SETTINGS_DIGESTS", "tokyo=,osaka=")
    for role in ("POLICY_ADMINISTRATOR_ROLE", "ENSURE_BUCKET_ROLE"):
        monkeypatch.setenv(role, f"arn:aws:iam::{ACCOUNT}:role/{role.lower()}")


@pytest.fixture(autouse=True)
def _fresh_clients() -> Iterator[None]:
    """A handler keeps its clients for the next call; a test must not inherit them."""
    yield
    for step in STEPS:
        for member in vars(importlib.import_module(f"lambdas.{step}.handler")).values():
            if clear := getattr(member, "cache_clear", None):
                clear()


def call(step: str, event: object) -> dict[str, Any]:
    """Call a step as Lambda does: JSON in, JSON out."""
    handler: Callable[[object, Context], object] = importlib.import_module(
        f"lambdas.{step}.handler"
    ).lambda_handler
    answer = handler(json.loads(json.dumps(event)), Context())
    serialized: dict[str, Any] = json.loads(json.dumps(answer))
    return serialized


def acquire(run: str, request: object) -> dict[str, Any]:
    return call("acquire_lease", {"request": request, "execution": run})


def running(name: str) -> str:
    """Start an execution that does not end, and return its ARN."""
    steps = boto3.client("stepfunctions")
    machine = steps.create_state_machine(
        name="vbr-privatelink-reconcile",
        definition='{"StartAt": "Wait", "States": {"Wait": {"Type": "Wait", "Seconds": 9, "End": true}}}',
        roleArn=f"arn:aws:iam::{ACCOUNT}:role/r",
    )
    return steps.start_execution(stateMachineArn=machine["stateMachineArn"], name=name)["executionArn"]


def test_there_are_handlers() -> None:
    """A glob that finds nothing must not look green."""
    assert {path.parent.name for path in Path(__file__).parents[2].glob("lambdas/*/handler.py")} > WIDGETS
    assert len(STEPS) == 15


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("event", [{}, {"unknown": 1}])
def test_every_door_refuses_what_it_does_not_know(step: str, event: dict[str, Any]) -> None:
    """A field that is misspelt in the state machine must not be taken for one that was left out."""
    with pytest.raises(InvalidRequestError, match=r"is missing|not a known field"):
        call(step, event)


@pytest.mark.usefixtures("dynamodb")
def test_a_lease_is_taken_and_released() -> None:
    """The first and the last step of a run; the second release has nothing left to do."""
    taken = acquire(RUN, {"site": "tokyo"})
    state = {"lease": taken, "error": {"Error": "NetworkNotFoundError", "Cause": "vpc_id: no VPCs"}}
    released = [call("release_lease", {"run": state}) for _ in range(2)]

    started_at = taken.pop("started_at")
    assert datetime.fromisoformat(started_at) <= datetime.now(UTC)
    assert taken == {
        "site": "tokyo",
        "execution": RUN,
        "outcome": "acquired",
        "intent": "provisioned",
        "repair": True,
        "purpose": "reconcile",
        "memory": Memory().model_dump(mode="json"),
    }
    assert [one["released"] for one in released] == [True, False]
    assert released[0]["status"]["error"] == "NetworkNotFoundError: vpc_id: no VPCs"


PROVISIONED: dict[str, Any] = {
    "site": {"what": "the next steps read"},
    "bucket": {"changed": True, "created": [], "enforced": ["backups"], "pending": [], "drift": []},
    "endpoint": {"changed": False, "vpc_endpoint_id": ENDPOINT_ID, "created": [], "others": [], "drift": []},
    "reach": {"endpoint_host": HOST, "endpoint_addresses": []},
    "adoption": {
        "enforce": ["backups"],
        "pending": [],
        "let_in": [ENDPOINT_ID],
        "retired": [],
        "retire": False,
        "waits_for": [],
        "waiting": False,
        "why": None,
    },
    "policy": {"changed": True, "buckets": ["backups"], "locked": "0123456789abcdef", "drift": []},
    "proof": {"proven": ["backups"]},
    "publication": {"changed": True, "version": 1},
}


@pytest.mark.usefixtures("dynamodb")
def test_a_run_leaves_what_the_next_one_is_told() -> None:
    """Through both doors and the table in between: the state of a whole run goes in, its memory comes out."""
    grant = {"principal": f"arn:aws:iam::{ACCOUNT}:role/recovery", "hours": 4, "reason": "fire"}
    first = acquire(RUN, {"site": "tokyo", "grant": grant})

    end = call("release_lease", {"run": {"lease": first, **PROVISIONED}})
    second = acquire(execution("b"), {"site": "tokyo"})

    (granted,) = first["memory"]["grants"]
    assert (granted["principal"], granted["reason"]) == (grant["principal"], "fire")
    lasts = datetime.fromisoformat(granted["expires_at"]) - datetime.fromisoformat(first["started_at"])
    assert lasts == timedelta(hours=4)
    assert end == {
        "released": True,
        "status": {
            "state": "enforced",
            "intent": "provisioned",
            "enforced": ["backups"],
            "pending": [],
            "pending_since": None,
            "servers": [],
            "moved": [],
            "waits_for": [],
            "why": None,
            "let_in": [ENDPOINT_ID],
            "grants": [granted],
            "left": [],
            "error": None,
        },
        "drift": [],
    }
    assert json.loads(second["memory"].pop("status")) == end["status"]
    assert second["memory"] == {
        "intent": None,
        "forced": False,
        "enforced": ["backups"],
        "endpoints": [ENDPOINT_ID],
        "grants": [granted],
        "locked": "0123456789abcdef",
        "pending": True,
    }


@pytest.mark.usefixtures("dynamodb")
def test_a_run_says_what_it_is_for() -> None:
    """A check repairs nothing, the hourly run ends when nothing waits, a release is told whether to wait."""
    check = acquire(RUN, {"site": "tokyo", "purpose": "check"})
    hourly = acquire(RUN, {"site": "osaka", "purpose": "pending"})
    release = acquire(RUN, {"site": "tokyo", "intent": "released", "force": True})

    assert (check["outcome"], check["repair"], check["purpose"]) == ("acquired", False, "check")
    assert (hourly["outcome"], hourly["repair"], hourly["purpose"]) == ("idle", True, "pending")
    assert (release["intent"], release["memory"]["intent"], release["memory"]["forced"]) == (
        "released",
        "released",
        True,
    )


@pytest.mark.usefixtures("dynamodb")
def test_drift_is_counted_for_its_site(capsys: pytest.CaptureFixture[str]) -> None:
    """What an alarm watches: a site that somebody changes every day; it must say which."""
    found = {
        "resource": "backups",
        "property": "public access",
        "found": "not blocked",
        "wanted": "blocked",
        "why": None,
    }
    drift = [{**found, "repaired": True}, {**found, "repaired": True}, {**found, "repaired": False}]
    state = {**PROVISIONED, "lease": acquire(RUN, {"site": "tokyo"}), "bucket": {"drift": drift}}
    capsys.readouterr()

    end = call("release_lease", {"run": state})

    counted = [line for line in map(json.loads, capsys.readouterr().out.splitlines()) if "DriftFound" in line]
    assert [(line["Site"], line["DriftFound"]) for line in counted] == [("tokyo", [3.0])]
    assert end["drift"] == drift


@pytest.mark.usefixtures("dynamodb")
def test_a_second_run_waits_and_a_third_is_superseded() -> None:
    """The whole line, with runs that Step Functions knows."""
    first, second = running("first"), running("second")
    acquire(first, {"site": "tokyo"})

    with pytest.raises(LeaseHeldError, match="first"):
        acquire(second, {"site": "tokyo"})
    third = acquire(execution("third"), {"site": "tokyo"})
    other_site = acquire(execution("third"), {"site": "osaka"})

    assert (third["outcome"], third["intent"]) == ("superseded", None)
    assert third["memory"] == Memory().model_dump(mode="json")
    assert other_site["outcome"] == "acquired"


@pytest.mark.usefixtures("dynamodb")
def test_the_lease_of_a_run_that_nobody_knows_is_taken_over() -> None:
    """An aborted run that Step Functions has forgotten must not lock the site for ever."""
    acquire(execution("forgotten"), {"site": "tokyo"})

    assert acquire(RUN, {"site": "tokyo"})["outcome"] == "acquired"


def test_an_event_starts_a_run_with_its_intent(dynamodb: DynamoDBClient) -> None:
    """EventBridge passes the whole event on."""
    event = {
        "source": "vbr-privatelink",
        "detail-type": "Provision Requested",
        "detail": {"site": "tokyo"},
        "account": ACCOUNT,
    }

    taken = acquire(RUN, event)
    item = dynamodb.get_item(TableName=TABLE, Key={"site": {"S": "tokyo"}})["Item"]

    assert (taken["outcome"], taken["intent"]) == ("acquired", "provisioned")
    assert item["intent"] == {"S": "provisioned"}


def test_a_grant_to_an_account_that_was_not_deployed_is_refused(
    dynamodb: DynamoDBClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An event is enough to ask for one; the table must not know of it."""
    grant = {"principal": "arn:aws:iam::444455556666:role/reader", "hours": 1, "reason": "recovery test"}
    request = {"site": "tokyo", "grant": grant}
    monkeypatch.setenv("RECOVERY_ACCOUNTS", "100000000001,100000000002")
    with pytest.raises(InvalidRequestError, match=r"^grant\.principal: account 444455556666"):
        acquire(RUN, request)
    before = dynamodb.scan(TableName=TABLE)["Items"]
    monkeypatch.setenv("RECOVERY_ACCOUNTS", "100000000001,444455556666")

    assert before == []
    assert len(acquire(RUN, request)["memory"]["grants"]) == 1


def test_a_site_without_settings_is_refused_before_the_table_is_touched(dynamodb: DynamoDBClient) -> None:
    """A typing error must not make an item that later looks like a site."""
    with pytest.raises(
        InvalidRequestError, match=r"^site: .* kyoto; add it to cdk.json or name one of: tokyo"
    ):
        acquire(RUN, {"site": "kyoto"})

    assert dynamodb.scan(TableName=TABLE)["Items"] == []


def test_a_site_is_resolved_from_its_parameter_and_tags(monkeypatch: pytest.MonkeyPatch) -> None:
    """What comes out is what the next steps accept at their doors; a parameter edited by hand is refused."""
    settings = {
        "schema_version": 1,
        "site": "tokyo",
        "onprem_cidrs": ["192.168.0.0/16"],
        "buckets": [{"name": "backups", "folder": "tokyo", "immutability_days": 0}],
    }
    text = json.dumps(settings)
    monkeypatch.setenv("SETTINGS_DIGESTS", f"osaka=0,tokyo={settings_digest(text)}")
    with mock_aws():
        ec2 = boto3.client("ec2")
        vpc_id = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        subnet_id = ec2.create_subnet(VpcId=vpc_id, CidrBlock="10.0.1.0/24", AvailabilityZone=f"{REGION}a")[
            "Subnet"
        ]["SubnetId"]
        ec2.create_tags(Resources=[vpc_id, subnet_id], Tags=[{"Key": "vbr-privatelink", "Value": "tokyo"}])
        ssm = boto3.client("ssm")
        ssm.put_parameter(Name="/vbr-privatelink/tokyo/settings", Type="String", Value=text)

        request = {"site": "tokyo", "execution": RUN, "intent": "provisioned"}
        answers = [call("resolve_request", request) for _ in range(2)]
        # The network is gone: a release doesn't need it.
        ec2.delete_tags(Resources=[vpc_id, subnet_id], Tags=[{"Key": "vbr-privatelink"}])
        released = call("resolve_request", {**request, "intent": "released"})
        by_hand = json.dumps({**settings, "additional_endpoint_ids": ["vpce-0fedcba9876543210"]})
        ssm.put_parameter(Name="/vbr-privatelink/tokyo/settings", Value=by_hand, Overwrite=True)
        for intent in ("provisioned", "released"):
            with pytest.raises(SettingsNotDeployedError):
                call("resolve_request", {**request, "intent": intent})

    assert answers[0] == answers[1]
    there = a_site(vpc_id=vpc_id, subnet_ids=(subnet_id,), subnet_zones={subnet_id: f"{REGION}a"})
    assert answers[0] == there.model_dump(mode="json")
    assert released == a_known_site().model_dump(mode="json")


def site() -> dict[str, Any]:
    return a_site().model_dump(mode="json")


def publish() -> dict[str, Any]:
    return call(
        "publish_endpoint",
        {
            "action": "publish",
            "site": site(),
            "vpc_endpoint_id": ENDPOINT_ID,
            "endpoint_host": HOST,
            "endpoint_addresses": ["10.0.1.17"],
            "execution": RUN,
            "repair": True,
        },
    )


def attach(
    where: Site | None = None,
    *,
    let_in: tuple[str, ...] = (ENDPOINT_ID,),
    memory: Memory | None = None,
    repair: bool = True,
) -> dict[str, Any]:
    return call(
        "attach_bucket_policy",
        {
            "action": "attach",
            "site": (where or a_site()).model_dump(mode="json"),
            "buckets": ["backups"],
            "let_in": list(let_in),
            "memory": (memory or Memory()).model_dump(mode="json"),
            "repair": repair,
            "execution": RUN,
        },
    )


def restore() -> dict[str, Any]:
    return call("attach_bucket_policy", {"action": "restore", "site": "tokyo", "execution": RUN})


def policy() -> dict[str, Any] | None:
    s3 = boto3.client("s3")
    try:
        document: dict[str, Any] = json.loads(s3.get_bucket_policy(Bucket="backups")["Policy"])
    except s3.exceptions.ClientError:
        return None
    return document


@pytest.fixture(name="bucket")
def _bucket(dynamodb: DynamoDBClient) -> None:
    assert dynamodb.list_tables()["TableNames"] == [TABLE]
    boto3.client("s3").create_bucket(
        Bucket="backups", CreateBucketConfiguration={"LocationConstraint": "ap-northeast-1"}
    )
    acquire(RUN, {"site": "tokyo"})


def test_an_endpoint_is_published_once() -> None:
    """The document that a server will read, and no second version of it."""
    with mock_aws():
        answers = [publish(), publish()]
        text = boto3.client("ssm").get_parameter(Name="/vbr-privatelink/tokyo/endpoint")["Parameter"]["Value"]

    assert answers == [{"changed": True, "version": 1}, {"changed": False, "version": 1}]
    document = EndpointDocument.from_json(text)
    assert (document.endpoint_host, document.execution) == (HOST, "a")
    assert [bucket.name for bucket in document.buckets] == [a_bucket().name]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("vpc_endpoint_id", "vpce-x"),
        ("endpoint_host", "bucket.evil.example"),
        ("endpoint_addresses", ["nowhere"]),
    ],
)
def test_what_servers_would_refuse_is_not_published(field: str, value: object) -> None:
    """The mistake stops here, as a refusal and not as a traceback."""
    event = {
        "action": "publish",
        "site": site(),
        "vpc_endpoint_id": ENDPOINT_ID,
        "endpoint_host": HOST,
        "endpoint_addresses": ["10.0.1.17"],
        "execution": RUN,
        "repair": True,
        field: value,
    }
    with mock_aws():
        with pytest.raises(InvalidRequestError, match=field):
            call("publish_endpoint", event)

        assert boto3.client("ssm").describe_parameters()["Parameters"] == []


@pytest.mark.usefixtures("bucket")
def test_a_bucket_is_locked_with_the_exact_arns_of_the_environment() -> None:
    """The policy compares strings: the roles of the stack, the people's own, and the account's root."""
    answers = [attach(), attach()]
    document = policy()

    assert [(answer["changed"], answer["buckets"], answer["drift"]) for answer in answers] == [
        (True, ["backups"], []),
        (False, [], []),
    ]
    assert document is not None
    listing, tamper = document["Statement"][1:3]
    administrators = [
        f"arn:aws:iam::{ACCOUNT}:role/policy_administrator_role",
        f"arn:aws:iam::{ACCOUNT}:root",
    ]
    observer = f"arn:aws:iam::{ACCOUNT}:role/ensure_bucket_role"
    assert tamper["Condition"]["ArnNotEquals"]["aws:PrincipalArn"] == administrators
    assert listing["Condition"]["ArnNotEquals"]["aws:PrincipalArn"] == [observer, *administrators]


@pytest.mark.usefixtures("bucket")
def test_further_endpoints_and_administrators_of_the_settings_are_let_in() -> None:
    """Disaster recovery and moving need a second endpoint; break-glass roles must get through."""
    role = f"arn:aws:iam::{ACCOUNT}:role/break-glass"
    wider = a_site(additional_endpoint_ids=("vpce-0fedcba9876543210",), policy_administrators=(role,))

    attach(wider, let_in=(ENDPOINT_ID, "vpce-0000000b"))
    document = policy()

    assert document is not None
    objects, listing, tamper = document["Statement"][:3]
    # The current one, the one that servers are leaving, and what the settings add.
    endpoints = [ENDPOINT_ID, "vpce-0000000b", "vpce-0fedcba9876543210"]
    assert objects["Condition"]["StringNotEquals"]["aws:SourceVpce"] == endpoints
    assert listing["Condition"]["StringNotEquals"]["aws:SourceVpce"] == endpoints
    assert role in listing["Condition"]["ArnNotEquals"]["aws:PrincipalArn"]
    assert role in tamper["Condition"]["ArnNotEquals"]["aws:PrincipalArn"]


def in_hours(hours: int) -> str:
    return (datetime.now(UTC) + timedelta(hours=hours)).strftime("%Y-%m-%dT%H:%M:%SZ")


@pytest.mark.usefixtures("bucket")
def test_whoever_has_a_grant_gets_in_until_it_ends() -> None:
    """One that is over is left out of the policy; whoever is let in is there by the exact ARN."""
    active, over = a_grant(expires_at=in_hours(1)), a_grant("archive", expires_at=in_hours(-1))
    attach(memory=Memory(grants=(active, over)))
    document = policy()

    assert document is not None
    sids = [statement["Sid"] for statement in document["Statement"]]
    assert sids[5:] == ["AllowGrantedReading1", "DenyChangesByGranted1", "DenyGrantedAfterwards1"]
    assert active.principal in json.dumps(document)
    assert over.principal not in json.dumps(document)


@pytest.mark.usefixtures("bucket")
def test_a_policy_that_differs_is_drift_only_when_nothing_else_is_wanted() -> None:
    """Somebody's hand, or our own decision: only the first is anybody's business."""
    locked = attach()["locked"]
    enforced = Memory(enforced=("backups",), locked=locked)
    boto3.client("s3").delete_bucket_policy(Bucket="backups")

    first_time = attach(memory=Memory(locked=locked), repair=False)
    other_endpoint = attach(memory=enforced, let_in=(ENDPOINT_ID, "vpce-0000000b"), repair=False)
    other_guest = attach(
        memory=enforced.model_copy(update={"grants": (a_grant(expires_at=in_hours(1)),)}), repair=False
    )
    by_hand = attach(memory=enforced, repair=False)
    there = policy()
    repaired = attach(memory=enforced)

    assert [answer["drift"] for answer in (first_time, other_endpoint, other_guest)] == [[], [], []]
    assert len({answer["locked"] for answer in (by_hand, other_endpoint, other_guest)}) == 3
    (found,) = by_hand["drift"]
    assert (found["property"], found["repaired"], found["why"]) == (
        "bucket policy",
        False,
        "this run only checks",
    )
    assert (by_hand["changed"], by_hand["buckets"], there) == (False, ["backups"], None)
    assert [one["repaired"] for one in repaired["drift"]] == [True]
    assert (repaired["changed"], repaired["locked"]) == (True, locked)
    assert policy() is not None


@pytest.mark.usefixtures("bucket")
def test_a_site_is_detached_and_withdrawn() -> None:
    """Twice, as a release that was stopped half-way goes on."""
    attach()
    publish()
    detached = [
        call(
            "attach_bucket_policy",
            {"action": "detach", "site": a_known_site().model_dump(mode="json")},
        )
        for _ in range(2)
    ]
    withdrawn = [
        call("publish_endpoint", {"action": "withdraw", "site": "tokyo", "execution": execution("b")})
        for _ in range(2)
    ]
    text = boto3.client("ssm").get_parameter(Name="/vbr-privatelink/tokyo/endpoint")["Parameter"]["Value"]

    assert detached == [{"changed": True, "buckets": ["backups"]}, {"changed": False, "buckets": []}]
    assert policy() is None
    assert withdrawn == [{"changed": True, "version": 2}, {"changed": False, "version": 2}]
    document = EndpointDocument.from_json(text)
    assert (document.state, document.endpoint_host, document.execution) == ("withdrawn", HOST, "b")


@pytest.mark.usefixtures("bucket")
def test_a_check_publishes_nothing() -> None:
    """It looks whether something would be published."""
    answer = call(
        "publish_endpoint",
        {
            "action": "publish",
            "site": site(),
            "vpc_endpoint_id": ENDPOINT_ID,
            "endpoint_host": HOST,
            "endpoint_addresses": [],
            "execution": RUN,
            "repair": False,
        },
    )

    assert answer == {"changed": False, "version": None}
    assert boto3.client("ssm").describe_parameters()["Parameters"] == []


def report(server: str, outcome: str) -> None:
    """Report as a server's client would."""
    boto3.client("ssm").put_parameter(
        Name=f"/vbr-privatelink/tokyo/adoption/{server}",
        Value=json.dumps({**golden("adoption-report-1-adopted"), "server": server, "outcome": outcome}),
        Type="String",
        Overwrite=True,
    )


def test_reports_are_weighed_for_a_site_that_is_provisioned() -> None:
    """From the parameters to what the next steps are given."""
    request = {
        "about": "adoption",
        "site": "tokyo",
        "expected_servers": ["vbr01"],
        "memory": Memory(endpoints=("vpce-0000000b",)).model_dump(mode="json"),
        "vpc_endpoint_id": ENDPOINT_ID,
        "others": ["vpce-0000000b", "vpce-0000000c"],
        "enforced": [],
        "pending": ["backups"],
    }
    with mock_aws():
        before = call("read_adoption", request)
        report("vbr01", "adopted")
        after = call("read_adoption", request)

    assert before == {
        "enforce": [],
        "pending": ["backups"],
        "let_in": [ENDPOINT_ID, "vpce-0000000b"],
        "retired": ["vpce-0000000c"],
        "retire": True,
        "waits_for": ["vbr01"],
        "waiting": True,
        "why": None,
        "servers": ["vbr01"],
        "moved": [],
    }
    assert after == {
        "enforce": ["backups"],
        "pending": [],
        "let_in": [ENDPOINT_ID],
        "retired": ["vpce-0000000b", "vpce-0000000c"],
        "retire": True,
        "waits_for": [],
        "waiting": False,
        "why": None,
        "servers": ["vbr01"],
        "moved": ["vbr01"],
    }


@pytest.mark.parametrize(
    ("purpose", "forced", "hours", "back"),
    [
        ("reconcile", False, 47, False),
        ("reconcile", False, 49, ServersNotBackError),
        ("pending", False, 49, False),
        ("pending", True, 0, True),
        ("reconcile", True, 49, True),
    ],
)
def test_reports_are_weighed_for_a_site_that_is_released(
    purpose: str, hours: int, back: bool | type[Exception], *, forced: bool
) -> None:
    """The deadline counts from the withdrawal; the hourly run is patient, and force waits for nobody."""
    known = a_known_site(expected_servers=("vbr01",), release_deadline_hours=48)
    request = {
        "about": "reversion",
        "site": known.model_dump(mode="json"),
        "memory": Memory(forced=forced).model_dump(mode="json"),
        "purpose": purpose,
    }
    withdrawn = {**golden("endpoint-document-1-withdrawn"), "published_at": in_hours(-hours)}
    with mock_aws():
        boto3.client("ssm").put_parameter(
            Name="/vbr-privatelink/tokyo/endpoint", Value=json.dumps(withdrawn), Type="String"
        )
        if isinstance(back, type):
            with pytest.raises(back, match=r"^vbr01: "):
                call("read_adoption", request)
        else:
            assert call("read_adoption", request) == {
                "back": back,
                "waits_for": ["vbr01"],
                "servers": ["vbr01"],
                "moved": [],
            }
        report("vbr01", "reverted")
        assert call("read_adoption", request) == {
            "back": True,
            "waits_for": [],
            "servers": ["vbr01"],
            "moved": ["vbr01"],
        }


def made_endpoint(ec2: EC2Client, run: str) -> str:
    """Make an endpoint as a run of site tokyo would."""
    vpc_id = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    endpoint_id = ec2.create_vpc_endpoint(
        VpcEndpointType="Interface", VpcId=vpc_id, ServiceName=f"com.amazonaws.{REGION}.s3"
    )["VpcEndpoint"]["VpcEndpointId"]
    tags = {"vbr-privatelink": "tokyo", "vbr-privatelink-created-by": run}
    ec2.create_tags(
        Resources=[endpoint_id], Tags=[{"Key": key, "Value": value} for key, value in tags.items()]
    )
    return endpoint_id


def test_everything_of_a_released_site_is_removed() -> None:
    """Whichever run made it; the second time there is nothing left."""
    with mock_aws():
        made = [made_endpoint(boto3.client("ec2"), run) for run in ("a", "b")]

        answers = [call("remove_endpoints", {"site": "tokyo", "keep": []}) for _ in range(2)]

    assert sorted(answers[0].pop("removed")) == sorted(made)
    assert answers == [{"changed": True}, {"changed": False, "removed": []}]


@pytest.mark.parametrize("published", [True, False])
def test_only_what_nobody_relies_on_is_undone(*, published: bool) -> None:
    """The endpoint carries the run's tag either way; what is published decides."""
    with mock_aws():
        endpoint_id = made_endpoint(boto3.client("ec2"), "a")
        if published:
            call(
                "publish_endpoint",
                {
                    "action": "publish",
                    "site": site(),
                    "vpc_endpoint_id": endpoint_id,
                    "endpoint_host": HOST.replace(ENDPOINT_ID, endpoint_id),
                    "endpoint_addresses": [],
                    "execution": RUN,
                    "repair": True,
                },
            )

        answers = [call("undo_provisioning", {"site": "tokyo", "execution": RUN}) for _ in range(2)]

    removed = [] if published else [endpoint_id]
    assert answers == [
        {"changed": not published, "removed": removed},
        {"changed": False, "removed": []},
    ]


@pytest.mark.usefixtures("bucket")
def test_a_run_that_failed_before_the_publication_takes_its_lock_back() -> None:
    """And the second time there is nothing to take back."""
    attach()

    answers = [restore(), restore()]

    assert answers == [{"changed": True, "buckets": ["backups"]}, {"changed": False, "buckets": []}]
    assert policy() is None


@pytest.mark.usefixtures("bucket")
def test_a_run_that_has_published_keeps_its_lock() -> None:
    """The publication succeeded and its answer was lost: servers rely on it, nothing is undone."""
    attach()
    publish()

    assert restore() == {"changed": False, "buckets": []}
    assert policy() is not None


def test_a_failed_step_is_counted_as_unchanged(capsys: pytest.CaptureFixture[str]) -> None:
    """The metric shows sites that are repaired every day; a call without any would only warn."""
    with pytest.raises(InvalidRequestError):
        call("release_lease", {})

    counted = [line for line in map(json.loads, capsys.readouterr().out.splitlines()) if "_aws" in line]
    assert [line["Changed"] for line in counted] == [[0.0]]
