"""
The doors: a handler parses, calls one function and serializes.

What is decided behind them has its own tests; here the whole of a function runs, as Lambda runs it,
against an emulated AWS.
"""

import importlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws
from mypy_boto3_dynamodb import DynamoDBClient

from contract.documents import EndpointDocument
from lambdas.core.errors import InvalidRequestError, LeaseHeldError
from tests.unit.conftest import TABLE
from tests.unit.sites import ACCOUNT, ENDPOINT_ID, HOST, REGION, a_bucket, a_site, execution

STEPS = sorted(path.parent.name for path in Path(__file__).parents[2].glob("lambdas/*/handler.py"))
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
    assert len(STEPS) == 10


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
    released = [call("release_lease", {"site": "tokyo", "execution": RUN}) for _ in range(2)]

    assert taken == {"site": "tokyo", "execution": RUN, "outcome": "acquired", "intent": "provisioned"}
    assert released == [{"released": True}, {"released": False}]


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


def test_a_site_without_settings_is_refused_before_the_table_is_touched(dynamodb: DynamoDBClient) -> None:
    """A typing error must not make an item that later looks like a site."""
    with pytest.raises(
        InvalidRequestError, match=r"^site: .* kyoto; add it to cdk.json or name one of: tokyo"
    ):
        acquire(RUN, {"site": "kyoto"})

    assert dynamodb.scan(TableName=TABLE)["Items"] == []


def test_a_site_is_resolved_from_its_parameter_and_tags() -> None:
    """What comes out is what the next steps accept at their doors."""
    with mock_aws():
        ec2 = boto3.client("ec2")
        vpc_id = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        subnet_id = ec2.create_subnet(VpcId=vpc_id, CidrBlock="10.0.1.0/24")["Subnet"]["SubnetId"]
        ec2.create_tags(Resources=[vpc_id, subnet_id], Tags=[{"Key": "vbr-privatelink", "Value": "tokyo"}])
        boto3.client("ssm").put_parameter(
            Name="/vbr-privatelink/tokyo/settings",
            Type="String",
            Value=json.dumps(
                {
                    "schema_version": 1,
                    "site": "tokyo",
                    "onprem_cidrs": ["192.168.0.0/16"],
                    "buckets": [{"name": "backups", "folder": "tokyo", "immutability_days": 0}],
                }
            ),
        )

        answers = [call("resolve_request", {"site": "tokyo", "execution": RUN}) for _ in range(2)]

    assert answers[0] == answers[1]
    assert answers[0] == a_site(vpc_id=vpc_id, subnet_ids=(subnet_id,)).model_dump(mode="json")


def site() -> dict[str, Any]:
    return a_site().model_dump(mode="json")


def publish() -> dict[str, Any]:
    return call(
        "publish_endpoint",
        {
            "site": site(),
            "vpc_endpoint_id": ENDPOINT_ID,
            "endpoint_host": HOST,
            "endpoint_addresses": ["10.0.1.17"],
            "execution": RUN,
        },
    )


def attach() -> dict[str, Any]:
    return call(
        "attach_bucket_policy",
        {
            "action": "attach",
            "site": site(),
            "buckets": ["backups"],
            "vpc_endpoint_id": ENDPOINT_ID,
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
        "site": site(),
        "vpc_endpoint_id": ENDPOINT_ID,
        "endpoint_host": HOST,
        "endpoint_addresses": ["10.0.1.17"],
        "execution": RUN,
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

    assert answers == [{"changed": True, "buckets": ["backups"]}, {"changed": False, "buckets": []}]
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

    call(
        "attach_bucket_policy",
        {
            "action": "attach",
            "site": wider.model_dump(mode="json"),
            "buckets": ["backups"],
            "vpc_endpoint_id": ENDPOINT_ID,
            "execution": RUN,
        },
    )
    document = policy()

    assert document is not None
    objects, listing, tamper = document["Statement"][:3]
    endpoints = [ENDPOINT_ID, "vpce-0fedcba9876543210"]
    assert objects["Condition"]["StringNotEquals"]["aws:SourceVpce"] == endpoints
    assert listing["Condition"]["StringNotEquals"]["aws:SourceVpce"] == endpoints
    assert role in listing["Condition"]["ArnNotEquals"]["aws:PrincipalArn"]
    assert role in tamper["Condition"]["ArnNotEquals"]["aws:PrincipalArn"]


@pytest.mark.parametrize("published", [True, False])
def test_only_what_nobody_relies_on_is_undone(*, published: bool) -> None:
    """The endpoint carries the run's tag either way; what is published decides."""
    with mock_aws():
        ec2 = boto3.client("ec2")
        vpc_id = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        endpoint_id = ec2.create_vpc_endpoint(
            VpcEndpointType="Interface", VpcId=vpc_id, ServiceName=f"com.amazonaws.{REGION}.s3"
        )["VpcEndpoint"]["VpcEndpointId"]
        ec2.create_tags(
            Resources=[endpoint_id],
            Tags=[
                {"Key": "vbr-privatelink", "Value": "tokyo"},
                {"Key": "vbr-privatelink-created-by", "Value": "a"},
            ],
        )
        if published:
            call(
                "publish_endpoint",
                {
                    "site": site(),
                    "vpc_endpoint_id": endpoint_id,
                    "endpoint_host": HOST.replace(ENDPOINT_ID, endpoint_id),
                    "endpoint_addresses": [],
                    "execution": RUN,
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
